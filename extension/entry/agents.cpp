// agents.cpp: what `pg_standby_clone agent` calls, and the list of agents.
#include "extension/entry/rights.h"
#include "extension/entry/rows.h"
#include "extension/pg/text.h"
#include "extension/session/agents.h"
#include "extension/session/table.h"

extern "C" {
PG_FUNCTION_INFO_V1(pg_standby_clone_agent_attach);
PG_FUNCTION_INFO_V1(pg_standby_clone_agent_detach);
PG_FUNCTION_INFO_V1(pg_standby_clone_agent_next);
PG_FUNCTION_INFO_V1(pg_standby_clone_agent_refuse);
PG_FUNCTION_INFO_V1(pg_standby_clone_agent_records);
}

namespace {

constexpr char kMayNot[] = "be an agent of clones of this server";

// An agent whose host has gone away must not keep its name for the two hours that TCP's
// defaults take. Settings of this session; they mean nothing on a Unix socket.
void watch_connection() {
  constexpr struct {
    const char* name;
    const char* value;
  } kSettings[] = {{"tcp_keepalives_idle", "20"},
                   {"tcp_keepalives_interval", "10"},
                   {"tcp_keepalives_count", "3"},
                   {"tcp_user_timeout", "50s"}};
  for (const auto& setting : kSettings)
    SetConfigOption(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION);
}

// NULL and arguments that an older script's function does not have: "".
const char* text_argument(FunctionCallInfo fcinfo, int number) {
  if (number >= PG_NARGS() || PG_ARGISNULL(number)) return "";
  return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

// The REPLICATION attribute lets a role be an agent, not act in the name of others.
void require_agent_of(const char* target) {
  if (superuser() || session::is_agent(target)) return;
  ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
          errmsg("this connection is not the agent of \"%s\"", target),
          errhint("Its requests are for the connection that is."));
}

}  // namespace

Datum pg_standby_clone_agent_attach(PG_FUNCTION_ARGS) {
  entry::require_replication(kMayNot);
  entry::require_primary("an agent cannot wait for requests");
  const char* target = text_argument(fcinfo, 0);
  std::size_t length = std::strlen(target);
  if (length == 0 || length >= NAMEDATALEN)
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("a target's name has 1 to %d bytes", NAMEDATALEN - 1));
  session::Agent agent{};
  agent.pid = MyProcPid;
  agent.database = MyDatabaseId;
  agent.role = GetUserId();
  agent.connected_since = GetCurrentTimestamp();
  strlcpy(agent.target, target, sizeof(agent.target));
  copy_client_address(agent.client_addr);
  copy_text(agent.destination, view(text_argument(fcinfo, 1)));
  copy_text(agent.destination_state, view(text_argument(fcinfo, 2)));
  copy_text(agent.version, view(text_argument(fcinfo, 3)));
  copy_text(agent.activity, view(text_argument(fcinfo, 4)));
  session::attach_agent(agent);
  watch_connection();
  PG_RETURN_VOID();
}

Datum pg_standby_clone_agent_detach(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  session::detach_agent();
  PG_RETURN_VOID();
}

// The oldest request of the target that waits, or whose agent is gone while it was carried out: its
// successor goes on with that. Not from phase starting on, where the standby is complete.
Datum pg_standby_clone_agent_next(PG_FUNCTION_ARGS) {
  entry::require_replication(kMayNot);
  entry::require_primary("requests cannot be taken");
  entry::Row row = entry::open_rows(fcinfo);
  const char* target = text_to_cstring(PG_GETARG_TEXT_PP(0));
  require_agent_of(target);
  MemoryContext outer = CurrentMemoryContext;
  std::int64_t id = 0;
  Datum options = 0, uuid = 0;
  table::Access access = table::open(table::of(fcinfo));
  table::sweep(access);
  if (table::run(psprintf("SELECT t.id, t.options, t.uuid FROM %s t "
                          "LEFT JOIN %s.pg_standby_clone_records() r ON r.id = t.id "
                          "WHERE t.target = $1 AND t.options IS NOT NULL "
                          "AND (t.state = 'queued' AND t.expires_at > clock_timestamp() "
                          "OR t.state = 'running' AND r.state = 'disconnected' "
                          "AND r.phase NOT IN ('starting', 'streaming')) ORDER BY t.id LIMIT 1",
                          access.records, access.schema),
                 {table::text(target)}) > 0) {
    id = table::number_result(1);
    bool is_null = false;
    Datum found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null);
    MemoryContext inner = MemoryContextSwitchTo(outer);
    options = PointerGetDatum(PG_DETOAST_DATUM_COPY(found));
    found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &is_null);
    uuid = datumCopy(found, false, UUID_LEN);
    MemoryContextSwitchTo(inner);
  }
  table::close(access);
  if (id != 0) {
    row.add_number(id);
    row.add(options);
    row.add(uuid);
    row.put();
  }
  return static_cast<Datum>(0);
}

// The request ends before a clone of it began. One that has ended meanwhile (cancelled,
// say) stays as it is. False if there is none: it is forgotten, or another has its number.
Datum pg_standby_clone_agent_refuse(PG_FUNCTION_ARGS) {
  entry::require_replication(kMayNot);
  entry::require_primary("requests cannot be refused");
  if (PG_ARGISNULL(0)) PG_RETURN_BOOL(false);
  std::int64_t id = PG_GETARG_INT64(0);
  const char* error = text_argument(fcinfo, 1);
  bool is_any = PG_NARGS() < 3 || PG_ARGISNULL(2);
  table::Argument uuid = table::uuid(is_any ? 0 : PG_GETARG_DATUM(2), is_any);
  table::Access access = table::open(table::of(fcinfo));
  bool is_known = table::run(psprintf("SELECT target FROM %s WHERE id = $1 AND options IS NOT NULL "
                                      "AND ($2 IS NULL OR uuid = $2)",
                                      access.records),
                             {table::number(id), uuid}) > 0;
  char target[NAMEDATALEN] = "";
  if (is_known) strlcpy(target, table::text_result(1), sizeof(target));
  // As the caller, not as the owner of the rows.
  bool is_allowed = !is_known || superuser_arg(access.user) || session::is_agent(target);
  if (is_known && is_allowed &&
      table::change(access, id, table::Waits::kAsNeeded, "t.state = 'queued' AND ($3 IS NULL OR t.uuid = $3)",
                    "'state', 'failed', 'finished_at', clock_timestamp(), "
                    "'error', coalesce($2, 'the agent refused it')",
                    {table::number(id), table::text(error), uuid}))
    table::notify(id, session::State::kFailed);
  table::close(access);
  if (!is_allowed) require_agent_of(target);
  PG_RETURN_BOOL(is_known);
}

// One row per agent connected to this database.
Datum pg_standby_clone_agent_records(PG_FUNCTION_ARGS) {
  entry::Row row = entry::open_rows(fcinfo);
  auto* agents =
      static_cast<session::Agent*>(palloc(sizeof(session::Agent) * session::kAgentMax));
  int count = session::copy_agents(agents);
  for (int index = 0; index < count; ++index) {
    const session::Agent& agent = agents[index];
    row.add_text(agent.target);
    row.add(Int32GetDatum(agent.pid));
    row.add_text(agent.client_addr);
    row.add_time(agent.connected_since);
    row.add_text(agent.destination);
    row.add_text(agent.destination_state);
    row.add_text(agent.version);
    if (row.result->setDesc->natts > 7) row.add_text(agent.activity);
    row.put();
  }
  return static_cast<Datum>(0);
}
