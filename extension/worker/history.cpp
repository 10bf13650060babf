// history.cpp: taking a request, and writing what became of a clone.
#include "extension/worker/history.h"

#include "extension/pg/text.h"
#include "extension/session/settings.h"
#include "extension/session/table.h"
#include "protocol/request.h"

namespace history {
namespace {

using session::Handle;
using session::Record;
using session::State;

// Somebody may hold the row or the table; a clone does not wait long for its own story.
constexpr char kLockTimeout[] = "2s";

struct Ending {
  State state;
  const char* error;
};

struct Step {
  const Handle* session;
  void (*run)(Step& step, const table::Access& access);
  Ending ending;
  char problem[256];  // of a request: why it cannot be taken
};

Record& record_of(const Step& step) { return *step.session->record; }

// One that ended under this number before was the same request's: it has gone on here.
void set_id(const Handle& session, std::int64_t id) {
  session::Locked::begin();
  for (Record& record : session::shared()->records)
    if (id != 0 && record.id == id && protocol::is_ended(record.state)) record.generation = 0;
  session.record->id = id;
  session::Locked::end();
}

enum class Result { kDone, kLocked, kFailed };

// Runs a step in a transaction. A failure is logged.
Result attempt(Step& step, const char* what) {
  MemoryContext outer = CurrentMemoryContext;
  volatile Result result = Result::kDone;
  PG_TRY();
  {
    StartTransactionCommand();
    set_config_option("lock_timeout", kLockTimeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                      true, 0, false);
    table::Access access = table::open(step.session->area->table);
    step.run(step, access);
    table::close(access);
    CommitTransactionCommand();
    MemoryContextSwitchTo(outer);
  }
  PG_CATCH();
  {
    HOLD_INTERRUPTS();
    MemoryContextSwitchTo(outer);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    AbortOutOfAnyTransaction();
    MemoryContextSwitchTo(outer);
    bool is_locked = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
    result = is_locked ? Result::kLocked : Result::kFailed;
    RESUME_INTERRUPTS();
    ereport(WARNING, errmsg("pg_standby_clone: could not %s of clone %lld to \"%s\": %s", what,
                            static_cast<long long>(record_of(step).id), record_of(step).target,
                            error->message));
    FreeErrorData(error);
  }
  PG_END_TRY();
  return result;
}

// --- begin ------------------------------------------------------------------

void insert_row(Step& step, const table::Access& access) {
  Record& record = record_of(step);
  table::sweep(access);
  table::run(psprintf("INSERT INTO %s (id, target, state, phase, client_addr, destination, "
                      "slot_name, started_at, streams) "
                      "VALUES ($1, $2, 'running', 'preparing', $3, $4, $5, $6, $7::integer)",
                      access.records),
             {table::number(record.id), table::text(record.target),
              table::text(record.client_addr), table::text(record.destination),
              table::text(record.slot_name), table::time(record.started_at),
              table::number(record.streams)});
  table::notify(record.id, State::kRunning);
}

void explain_refusal(Step& step, const table::Access& access, std::int64_t request) {
  Record& record = record_of(step);
  auto number = static_cast<long long>(request);
  if (table::run(psprintf("SELECT target, state, error FROM %s WHERE id = $1", access.records),
                 {table::number(request)}) == 0) {
    snprintf(step.problem, sizeof(step.problem), "request %lld does not exist", number);
    return;
  }
  const char* target = table::text_result(1);
  const char* state = table::text_result(2);
  const char* error = table::text_result(3);
  if (std::strcmp(target, record.target) != 0)
    snprintf(step.problem, sizeof(step.problem), "request %lld is for \"%s\", not for \"%s\"", number,
             target, record.target);
  else
    snprintf(step.problem, sizeof(step.problem), "request %lld is not queued any more, it is %s%s%s",
             number, state, error != nullptr ? ": " : "", error != nullptr ? error : "");
}

void take_request(Step& step, const table::Access& access) {
  Record& record = record_of(step);
  std::int64_t request = step.session->area->request_id;
  table::sweep(access);
  bool is_taken =
      table::run(psprintf("UPDATE %s SET state = 'running', phase = 'preparing', client_addr = $3, "
                          "destination = $4, slot_name = $5, started_at = $6, streams = $7::integer, "
                          "finished_at = NULL, error = NULL "
                          "WHERE id = $1 AND target = $2 AND (state = 'queued' AND "
                          "expires_at > clock_timestamp() OR state = 'failed' AND "
                          "error IN ($8, $9, $10))",
                          access.records),
                 {table::number(request), table::text(record.target),
                  table::text(record.client_addr), table::text(record.destination),
                  table::text(record.slot_name), table::time(record.started_at),
                  table::number(record.streams), table::text(table::kServerWentAway),
                  table::text(table::kHelperSilent), table::text(protocol::kHelperStartedAgain)}) > 0;
  if (!is_taken) return explain_refusal(step, access, request);
  table::notify(request, State::kRunning);
  // Before the commit: a row that runs always has a record that says so.
  set_id(*step.session, request);
}

void begin_request(const Handle& session) {
  if (!OidIsValid(session.area->table))
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("this server has no table of clone requests"),
            errhint("Run ALTER EXTENSION pg_standby_clone UPDATE."));
  Step step{&session, take_request, {}, ""};
  Result result = attempt(step, "take the request");
  // Whoever changes the request in an open transaction is waited for, as long as the
  // helper waits.
  while (result == Result::kLocked && !session::look(session).cancel_requested &&
         session::look(session).outcome == State::kRunning) {
    CHECK_FOR_INTERRUPTS();
    result = attempt(step, "take the request");
  }
  if (result == Result::kDone && step.problem[0] == '\0') return;
  set_id(session, 0);
  const char* problem = step.problem[0] != '\0' ? step.problem
                        : result == Result::kLocked
                            ? "the request is held by another transaction"
                            : "the request could not be taken; see the server's log";
  ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", problem));
}

std::int64_t new_id(const Handle& session) {
  if (!OidIsValid(session.area->id_sequence)) return 0;
  StartTransactionCommand();
  std::int64_t id = nextval_internal(session.area->id_sequence, false);
  CommitTransactionCommand();
  return id;
}

// --- end --------------------------------------------------------------------

void write_phases(Step& step, const table::Access& access, Record& record) {
  session::PhaseTimes phases[protocol::kPhaseCount];
  int count = session::phases_of(record, phases);
  for (int index = 0; index < count; ++index)
    table::run(psprintf("INSERT INTO %s (id, phase, started_at, finished_at, bytes) "
                        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                        access.phases),
               {table::number(record.id), table::text(protocol::name_of(phases[index].phase)),
                table::time(phases[index].started_at), table::time(phases[index].finished_at),
                table::number(static_cast<std::int64_t>(phases[index].bytes))});
  (void)step;
}

void prune(const table::Access& access) {
  if (settings::history_keep < 0) return;
  table::run(psprintf("DELETE FROM %s WHERE id IN (SELECT id FROM %s WHERE state IN "
                      "('completed', 'failed', 'cancelled') ORDER BY finished_at DESC, id DESC "
                      "OFFSET $1)",
                      access.records, access.records),
             {table::number(settings::history_keep)});
}

table::Argument counter(pg_atomic_uint64& value) {
  return table::number(static_cast<std::int64_t>(pg_atomic_read_u64(&value)));
}

void write_ending(Step& step, const table::Access& access) {
  // A copy with the end in it, which shared memory does not say yet.
  Record ended = record_of(step);
  ended.state = step.ending.state;
  ended.finished_at = GetCurrentTimestamp();
  ended.phase_bytes[static_cast<int>(ended.phase)] = pg_atomic_read_u64(&ended.bytes_sent);
  table::run(
      psprintf("INSERT INTO %s AS t (id, target, state, phase, client_addr, destination, slot_name, "
               "started_at, finished_at, start_lsn, stop_lsn, timeline, streams, files_total, "
               "files_done, bytes_total, bytes_done, bytes_sent, checksum_failures, error) "
               "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, nullif($12, 0)::integer, "
               "$13::integer, $14, $15, $16, $17, $18, $19, $20) "
               "ON CONFLICT (id) DO UPDATE SET (state, phase, finished_at, start_lsn, stop_lsn, "
               "timeline, files_total, files_done, bytes_total, bytes_done, bytes_sent, "
               "checksum_failures, error) = ROW (excluded.state, excluded.phase, "
               "excluded.finished_at, excluded.start_lsn, excluded.stop_lsn, excluded.timeline, "
               "excluded.files_total, excluded.files_done, excluded.bytes_total, "
               "excluded.bytes_done, excluded.bytes_sent, excluded.checksum_failures, "
               "excluded.error) WHERE t.state IN ('running', 'queued') "
               // A process that has another build of the library knows nothing of this clone.
               "OR t.state = 'failed' AND t.error = $21",
               access.records),
      {table::number(ended.id), table::text(ended.target),
       table::text(protocol::name_of(ended.state)), table::text(protocol::name_of(ended.phase)),
       table::text(ended.client_addr), table::text(ended.destination),
       table::text(ended.slot_name), table::time(ended.started_at),
       table::time(ended.finished_at), table::lsn(ended.start_lsn), table::lsn(ended.stop_lsn),
       table::number(ended.start_timeline), table::number(ended.streams),
       counter(ended.files_total), counter(ended.files_done), counter(ended.bytes_total),
       counter(ended.bytes_done), counter(ended.bytes_sent), counter(ended.checksum_failures),
       table::text(step.ending.error), table::text(table::kServerWentAway)});
  write_phases(step, access, ended);
  prune(access);
  table::sweep(access);
  table::notify(ended.id, ended.state);
}

void tell_only(Step& step, const table::Access&) {
  table::notify(record_of(step).id, step.ending.state);
}

bool has_row(const Handle& session) {
  return OidIsValid(session.area->table) && session.record->id > 0;
}

}  // namespace

void begin(const Handle& session) {
  if (session.area->request_id != 0) return begin_request(session);
  std::int64_t id = new_id(session);
  if (id == 0) {
    session::Locked::begin();
    session.record->id = --session::shared()->last_standby_id;
    session::Locked::end();
    return;
  }
  set_id(session, id);
  if (!has_row(session)) return;
  Step step{&session, insert_row, {}, ""};
  attempt(step, "write the history");
}

void end(const Handle& session, State state, const char* error) {
  if (!has_row(session)) return;
  Step step{&session, write_ending, {state, error}, ""};
  attempt(step, "write the history");
}

void tell(const Handle& session, State state) {
  if (!has_row(session)) return;
  Step step{&session, tell_only, {state, nullptr}, ""};
  attempt(step, "tell listeners");
}

}  // namespace history
