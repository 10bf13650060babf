// table.cpp: access to clone_records.
#include "extension/session/table.h"

#include "extension/session/steer.h"

namespace table {
namespace {

constexpr char kChannel[] = "pg_standby_clone";

// Advisory locks beside those that SQL can take, whose fourth field is 1 or 2.
enum class Lock : std::uint16_t { kRow = 3, kTarget, kNumbers };

LOCKTAG tag_of(Lock lock, std::uint64_t key) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<std::uint32_t>(key >> 32),
                       static_cast<std::uint32_t>(key), static_cast<std::uint16_t>(lock));
  return tag;
}

bool take(Lock lock, std::uint64_t key, Waits waits) {
  LOCKTAG tag = tag_of(lock, key);
  return LockAcquire(&tag, ExclusiveLock, false, waits == Waits::kNever) != LOCKACQUIRE_NOT_AVAIL;
}

// The highest number of any row, rows of transactions in progress among them, and of any clone that
// shared memory still shows.
std::int64_t last_number(Relation records) {
  SnapshotData dirty;
  InitDirtySnapshot(dirty);
  std::int64_t last = session::last_id();
  SysScanDesc scan = systable_beginscan(records, InvalidOid, false, &dirty, 0, nullptr);
  while (HeapTuple row = systable_getnext(scan)) {
    bool is_null = false;
    Datum id = heap_getattr(row, 1, RelationGetDescr(records), &is_null);
    if (!is_null) last = Max(last, DatumGetInt64(id));
  }
  systable_endscan(scan);
  return last;
}

Datum result(int column) {
  bool is_null = false;
  Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null);
  if (is_null) elog(ERROR, "column %d of a row of clone_records is null", column);
  return value;
}

// Writes the row that the last query composed in `column`, in the place of `old` unless that is NULL.
void put(const Access& access, int column, ItemPointer old) {
  HeapTupleHeader composed = DatumGetHeapTupleHeader(result(column));
  HeapTupleData given{};
  given.t_len = HeapTupleHeaderGetDatumLength(composed);
  given.t_data = composed;
  ItemPointerSetInvalid(&given.t_self);
  Relation records = table_open(access.oid, RowExclusiveLock);
  TupleDesc description = RelationGetDescr(records);
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * description->natts));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * description->natts));
  heap_deform_tuple(&given, description, values, nulls);
  HeapTuple row = heap_form_tuple(description, values, nulls);
  if (old != nullptr) simple_heap_delete(records, old);
  simple_heap_insert(records, row);
  table_close(records, NoLock);
}

void remove(const Access& access, ItemPointer row) {
  Relation records = table_open(access.oid, RowExclusiveLock);
  simple_heap_delete(records, row);
  table_close(records, NoLock);
}

}  // namespace

Oid find(Oid schema) {
  Oid records = get_relname_relid("clone_records", schema);
  return OidIsValid(records) && get_rel_relkind(records) == RELKIND_MATVIEW ? records : InvalidOid;
}

Oid schema_of(FunctionCallInfo fcinfo) { return get_func_namespace(fcinfo->flinfo->fn_oid); }

Oid of(FunctionCallInfo fcinfo) {
  Oid records = find(schema_of(fcinfo));
  if (!OidIsValid(records))
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
            errmsg("the objects of extension pg_standby_clone are of an older version"),
            errhint("Run ALTER EXTENSION pg_standby_clone UPDATE."));
  return records;
}

Access open(Oid records) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(records));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
            errmsg("clone_records of extension pg_standby_clone is gone"));
  auto* row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  Access access{};
  const char* schema = get_namespace_name(row->relnamespace);
  access.records = quote_qualified_identifier(schema, NameStr(row->relname));
  access.schema = quote_identifier(schema);
  access.oid = records;
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

Argument uuid(Datum value, bool is_null) { return {UUIDOID, value, is_null}; }

std::uint64_t run(const char* query, std::initializer_list<Argument> arguments) {
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
  CommandCounterIncrement();
  PushActiveSnapshot(GetLatestSnapshot());
  int code = SPI_execute_with_args(query, count, types, values, nulls, true, 0);
  PopActiveSnapshot();
  if (code < 0) elog(ERROR, "query failed (%s): %s", SPI_result_code_string(code), query);
  return SPI_processed;
}

void lock_target(const char* target) {
  take(Lock::kTarget,
       DatumGetUInt64(hash_any_extended(reinterpret_cast<const unsigned char*>(target),
                                        static_cast<int>(std::strlen(target)), 0)),
       Waits::kAsNeeded);
}

void lock_row(std::int64_t id) {
  take(Lock::kRow, static_cast<std::uint64_t>(id), Waits::kAsNeeded);
}

std::int64_t draw_number(const Access& access) {
  Relation records = table_open(access.oid, RowExclusiveLock);
  take(Lock::kNumbers, 0, Waits::kAsNeeded);
  std::int64_t number = last_number(records) + 1;
  table_close(records, NoLock);
  return number;
}

void add(const Access& access, const char* fields, std::initializer_list<Argument> arguments) {
  run(psprintf("SELECT jsonb_populate_record(NULL::%s, jsonb_build_object('id', $1, %s))", access.records,
               fields),
      arguments);
  put(access, 1, nullptr);
  LOCKTAG numbers = tag_of(Lock::kNumbers, 0);
  LockRelease(&numbers, ExclusiveLock, false);
}

bool change(const Access& access, std::int64_t id, Waits waits, const char* condition, const char* fields,
            std::initializer_list<Argument> arguments) {
  if (!take(Lock::kRow, static_cast<std::uint64_t>(id), waits)) return false;
  if (run(psprintf("SELECT t.ctid, jsonb_populate_record(t, jsonb_build_object(%s)) FROM %s t "
                   "LEFT JOIN %s.pg_standby_clone_records() r ON r.id = t.id WHERE t.id = $1 AND (%s)",
                   fields, access.records, access.schema, condition),
          arguments) == 0)
    return false;
  put(access, 2, reinterpret_cast<ItemPointer>(DatumGetPointer(result(1))));
  return true;
}

void prune(const Access& access, int keep) {
  constexpr char kEnded[] = "state IN ('completed', 'failed', 'cancelled')";
  std::uint64_t count =
      run(psprintf("(SELECT id FROM %s WHERE %s ORDER BY finished_at DESC, id DESC OFFSET $1) "
                   "UNION ALL SELECT id FROM %s WHERE state IS NULL",
                   access.records, kEnded, access.records),
          {number(keep)});
  SPITupleTable* found = SPI_tuptable;
  for (std::uint64_t index = 0; index < count; ++index) {
    bool is_null = false;
    Datum id = SPI_getbinval(found->vals[index], found->tupdesc, 1, &is_null);
    if (!take(Lock::kRow, DatumGetUInt64(id), Waits::kNever)) continue;
    if (run(psprintf("SELECT ctid, jsonb_populate_record(NULL::%s, jsonb_build_object('id', id)), "
                     "id = (SELECT max(id) FROM %s) FROM %s WHERE id = $1 AND (state IS NULL OR %s)",
                     access.records, access.records, access.records, kEnded),
            {number(DatumGetInt64(id))}) == 0)
      continue;
    auto* row = reinterpret_cast<ItemPointer>(DatumGetPointer(result(1)));
    if (boolean_result(3)) put(access, 2, row);
    else remove(access, row);
  }
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
  // The records are read after the query's snapshot: a row that it sees as running had
  // its record before.
  constexpr char kGone[] =
      "t.state = 'running' AND (r.id IS NULL OR r.state IN ('completed', 'failed', 'cancelled'))"
      " OR t.state = 'queued' AND t.expires_at <= clock_timestamp() AND r.id IS NULL";
  std::uint64_t count = run(psprintf("SELECT t.id FROM %s t LEFT JOIN %s.pg_standby_clone_records() r "
                                     "ON r.id = t.id WHERE %s",
                                     access.records, access.schema, kGone),
                            {});
  SPITupleTable* found = SPI_tuptable;
  for (std::uint64_t index = 0; index < count; ++index) {
    bool is_null = false;
    std::int64_t id = DatumGetInt64(SPI_getbinval(found->vals[index], found->tupdesc, 1, &is_null));
    if (!change(access, id, Waits::kNever, kGone,
                "'state', coalesce(r.state, 'failed'), 'phase', coalesce(r.phase, t.phase),"
                "'finished_at', coalesce(r.finished_at, clock_timestamp()),"
                "'error', CASE WHEN r.id IS NOT NULL THEN r.error"
                "              WHEN t.state = 'queued' THEN 'expired before an agent took it' ELSE $2 END",
                {number(id), text(kServerWentAway)}))
      continue;
    run(psprintf("SELECT state FROM %s WHERE id = $1", access.records), {number(id)});
    const char* state = text_result(1);
    for (auto ending : {session::State::kCompleted, session::State::kFailed, session::State::kCancelled})
      if (std::strcmp(state, protocol::name_of(ending)) == 0) notify(id, ending);
  }
}

}  // namespace table
