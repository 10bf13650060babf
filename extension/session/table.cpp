// table.cpp: access to clone_records.
#include "extension/session/table.h"

namespace table {
namespace {

constexpr char kChannel[] = "pg_standby_clone";

}  // namespace

Oid find(Oid schema) { return get_relname_relid("clone_records", schema); }

Oid schema_of(FunctionCallInfo fcinfo) { return get_func_namespace(fcinfo->flinfo->fn_oid); }

Oid of(FunctionCallInfo fcinfo) {
  Oid records = find(schema_of(fcinfo));
  if (!OidIsValid(records))
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
            errmsg("table clone_records of extension pg_standby_clone is not there"),
            errhint("Run ALTER EXTENSION pg_standby_clone UPDATE."));
  return records;
}

Access open(Oid records) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(records));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
            errmsg("table clone_records of extension pg_standby_clone is gone"));
  auto* row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  Access access{};
  const char* schema = get_namespace_name(row->relnamespace);
  access.records = quote_qualified_identifier(schema, NameStr(row->relname));
  access.phases = quote_qualified_identifier(schema, "clone_record_phases");
  access.schema = quote_identifier(schema);
  access.schema_oid = row->relnamespace;
  Oid owner = row->relowner;
  ReleaseSysCache(tuple);

  GetUserIdAndSecContext(&access.user, &access.security_context);
  SetUserIdAndSecContext(owner, access.security_context | SECURITY_LOCAL_USERID_CHANGE |
                                    SECURITY_NOFORCE_RLS);
  access.guc_level = NewGUCNestLevel();
  set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SAVE, true, 0, false);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  PushActiveSnapshot(GetTransactionSnapshot());
  return access;
}

void close(const Access& access) {
  PopActiveSnapshot();
  SPI_finish();
  AtEOXact_GUC(false, access.guc_level);
  SetUserIdAndSecContext(access.user, access.security_context);
}

Argument number(std::int64_t value) { return {INT8OID, Int64GetDatum(value), false}; }

Argument text(const char* value) {
  if (value == nullptr || value[0] == '\0') return {TEXTOID, 0, true};
  return {TEXTOID, CStringGetTextDatum(value), false};
}

Argument time(TimestampTz value) {
  return {TIMESTAMPTZOID, TimestampTzGetDatum(value), value == 0};
}

Argument lsn(XLogRecPtr value) {
  return {PG_LSNOID, LSNGetDatum(value), XLogRecPtrIsInvalid(value)};
}

Argument boolean(bool value) { return {BOOLOID, BoolGetDatum(value), false}; }

std::uint64_t run(const char* statement, std::initializer_list<Argument> arguments) {
  constexpr int kArgumentsMax = 32;
  Oid types[kArgumentsMax];
  Datum values[kArgumentsMax]{};
  char nulls[kArgumentsMax]{};
  int count = 0;
  Assert(arguments.size() <= kArgumentsMax);
  for (const Argument& argument : arguments) {
    types[count] = argument.type;
    values[count] = argument.value;
    nulls[count++] = argument.is_null ? 'n' : ' ';
  }
  int result = SPI_execute_with_args(statement, count, types, values, nulls, false, 0);
  if (result < 0) elog(ERROR, "statement failed (%s): %s", SPI_result_code_string(result), statement);
  return SPI_processed;
}

const char* text_result(int column) {
  return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

std::int64_t number_result(int column) {
  bool is_null = false;
  Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null);
  return is_null ? 0 : DatumGetInt64(value);
}

bool boolean_result(int column) {
  bool is_null = false;
  Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null);
  return !is_null && DatumGetBool(value);
}

void notify(std::int64_t id, session::State state) {
  Async_Notify(kChannel, psprintf("{\"id\":%lld,\"state\":\"%s\"}", static_cast<long long>(id),
                                  protocol::name_of(state)));
}

void sweep(const Access& access) {
  // Nothing here waits for another session: a row that somebody holds is swept next time.
  // The records are read after the statement's snapshot: a row that it sees as running had
  // its record before.
  std::uint64_t ended = run(
      psprintf("WITH gone AS ("
               "  SELECT t.id, r.id IS NOT NULL AS is_known, r.state, r.phase, r.finished_at, r.error"
               "    FROM %s t LEFT JOIN %s.pg_standby_clone_records() r ON r.id = t.id"
               "   WHERE (t.state = 'running' AND (r.id IS NULL OR r.state IN ('completed', 'failed', 'cancelled')))"
               "      OR (t.state = 'queued' AND t.expires_at <= clock_timestamp() AND r.id IS NULL)"
               "   FOR UPDATE OF t SKIP LOCKED)"
               " UPDATE %s t SET state = coalesce(gone.state, 'failed'), phase = coalesce(gone.phase, t.phase),"
               "        finished_at = coalesce(gone.finished_at, clock_timestamp()),"
               "        error = CASE WHEN gone.is_known THEN gone.error"
               "                     WHEN t.state = 'queued' THEN 'expired before an agent took it'"
               "                     ELSE $1 END"
               "   FROM gone WHERE t.id = gone.id RETURNING t.id, t.state",
               access.records, access.schema, access.records),
      {text(kServerWentAway)});
  for (std::uint64_t index = 0; index < ended; ++index) {
    bool is_null = false;
    HeapTuple row = SPI_tuptable->vals[index];
    std::int64_t id =
        DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null));
    const char* state = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
    for (auto ending : {session::State::kCompleted, session::State::kFailed,
                        session::State::kCancelled})
      if (std::strcmp(state, protocol::name_of(ending)) == 0) notify(id, ending);
  }
}

}  // namespace table
