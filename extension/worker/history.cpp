// history.cpp: taking a request, and writing what became of a clone.
#include "extension/worker/history.h"

#include "extension/pg/compat.h"
#include "extension/pg/text.h"
#include "extension/session/agents.h"
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
// An agent looks for its primary at least every two seconds while a clone of its runs.
constexpr std::uint64_t kAgentPatienceMs = 20 * 1000;

struct Ending {
  State state;
  const char* error;
};

struct Step {
  const Handle* session;
  void (*run)(Step& step, const table::Access& access);
  Ending ending;
  char problem[256];  // of a request: why it cannot be taken
  bool is_early;      // of a request: its agent is not connected, yet
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
    table::Access access = table::open(step.session->area->records);
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
  std::int64_t id = table::draw_number(access);
  table::add(access,
             "'target', $2, 'state', 'running', 'phase', 'preparing', 'client_addr', $3, 'destination', $4, "
             "'slot_name', $5, 'started_at', $6, 'streams', $7, 'method', $8",
             {table::number(id), table::text(record.target), table::text(record.client_addr),
              table::text(record.destination), table::text(record.slot_name),
              table::time(record.started_at), table::number(record.streams),
              table::text(protocol::name_of(record.method))});
  table::notify(id, State::kRunning);
  // Before the commit: a row that runs always has a record that says so.
  set_id(*step.session, id);
}

void explain_refusal(Step& step, const table::Access& access, std::int64_t request) {
  Record& record = record_of(step);
  auto number = static_cast<long long>(request);
  if (table::run(psprintf("SELECT target, state, error, uuid::text IS DISTINCT FROM $2 FROM %s "
                          "WHERE id = $1 AND state IS NOT NULL",
                          access.records),
                 {table::number(request), table::text(step.session->area->request_uuid)}) == 0) {
    snprintf(step.problem, sizeof(step.problem), "request %lld does not exist", number);
    return;
  }
  const char* target = table::text_result(1);
  const char* state = table::text_result(2);
  const char* error = table::text_result(3);
  if (std::strcmp(target, record.target) != 0)
    snprintf(step.problem, sizeof(step.problem), "request %lld is for \"%s\", not for \"%s\"", number,
             target, record.target);
  else if (table::boolean_result(4))
    snprintf(step.problem, sizeof(step.problem),
             "request %lld of this server is not the one that is to be carried out", number);
  else
    snprintf(step.problem, sizeof(step.problem), "request %lld is not queued any more, it is %s%s%s",
             number, state, error != nullptr ? ": " : "", error != nullptr ? error : "");
}

// Whoever may clone this server could carry out anybody's requests: they are for the role whose agent of
// their target is connected. After a failover the clone may be here before its agent is.
bool is_of_agent(Step& step) {
  Oid role = step.session->area->role;
  if (superuser_arg(role) || session::has_agent(record_of(step).target, role)) return true;
  step.is_early = true;
  snprintf(step.problem, sizeof(step.problem), "role \"%s\" has no agent for \"%s\" connected",
           GetUserNameFromId(role, false), record_of(step).target);
  return false;
}

void take_request(Step& step, const table::Access& access) {
  Record& record = record_of(step);
  std::int64_t request = step.session->area->request_id;
  step.problem[0] = '\0';
  step.is_early = false;
  table::sweep(access);
  if (!is_of_agent(step)) return;
  bool is_taken = table::change(
      access, request, table::Waits::kAsNeeded,
      "t.uuid::text = $2 AND t.target = $3 AND (t.state = 'queued' AND t.expires_at > clock_timestamp()"
      " OR t.state = 'failed' AND t.error IN ($10, $11, $12))",
      "'state', 'running', 'phase', 'preparing', 'client_addr', $4, 'destination', $5, 'slot_name', $6, "
      "'started_at', $7, 'streams', $8, 'method', $9, 'finished_at', NULL, 'error', NULL",
      {table::number(request), table::text(step.session->area->request_uuid),
       table::text(record.target), table::text(record.client_addr), table::text(record.destination),
       table::text(record.slot_name), table::time(record.started_at), table::number(record.streams),
       table::text(protocol::name_of(record.method)), table::text(table::kServerWentAway),
       table::text(table::kHelperSilent), table::text(protocol::kHelperStartedAgain)});
  if (!is_taken) return explain_refusal(step, access, request);
  table::notify(request, State::kRunning);
  // Before the commit, as above.
  set_id(*step.session, request);
}

// For a moment in which nothing has changed: somebody may connect, or cancel.
void rest() {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 250,
            compat::wait_event("StandbyCloneWorker"));
  ResetLatch(MyLatch);
}

void begin_request(const Handle& session) {
  if (!OidIsValid(session.area->records))
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the objects of extension pg_standby_clone on this server know of no requests"),
            errhint("Run ALTER EXTENSION pg_standby_clone UPDATE."));
  Step step{&session, take_request, {}, "", false};
  Result result = attempt(step, "take the request");
  // Whoever changes the request in an open transaction is waited for, as long as the
  // helper waits; its agent for as long as it may take to connect again.
  std::uint64_t began = session::monotonic_ms();
  while ((result == Result::kLocked ||
          (step.is_early && session::monotonic_ms() - began < kAgentPatienceMs)) &&
         !session::look(session).cancel_requested &&
         session::look(session).outcome == State::kRunning) {
    CHECK_FOR_INTERRUPTS();
    if (step.is_early) rest();
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

// --- end --------------------------------------------------------------------

const char* json_of(Record& record) {
  session::PhaseTimes phases[protocol::kPhaseCount];
  int count = session::phases_of(record, phases);
  StringInfoData json;
  initStringInfo(&json);
  for (int index = 0; index < count; ++index) {
    // timestamptz_to_str() has one buffer.
    appendStringInfo(&json, "%c{\"phase\":\"%s\",\"bytes\":%llu,\"started_at\":\"%s\"",
                     index == 0 ? '[' : ',', protocol::name_of(phases[index].phase),
                     static_cast<unsigned long long>(phases[index].bytes),
                     timestamptz_to_str(phases[index].started_at));
    if (phases[index].finished_at != 0)
      appendStringInfo(&json, ",\"finished_at\":\"%s\"", timestamptz_to_str(phases[index].finished_at));
    appendStringInfoChar(&json, '}');
  }
  appendStringInfoString(&json, count == 0 ? "[]" : "]");
  return json.data;
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
  bool is_written = table::change(
      access, ended.id, table::Waits::kAsNeeded,
      // A process that has another build of the library knows nothing of this clone.
      "t.state IN ('running', 'queued') OR t.state = 'failed' AND t.error = $17",
      "'state', $2, 'phase', $3, 'finished_at', $4, 'start_lsn', $5, 'stop_lsn', $6, "
      "'timeline', nullif($7, 0), 'files_total', $8, 'files_done', $9, 'bytes_total', $10, "
      "'bytes_done', $11, 'bytes_sent', $12, 'checksum_failures', $13, 'error', $14, "
      "'phases', $15::jsonb, 'streams', $16, 'bytes_kept', $18, 'method', $19",
      {table::number(ended.id), table::text(protocol::name_of(ended.state)),
       table::text(protocol::name_of(ended.phase)), table::time(ended.finished_at),
       table::lsn(ended.start_lsn), table::lsn(ended.stop_lsn), table::number(ended.start_timeline),
       counter(ended.files_total), counter(ended.files_done), counter(ended.bytes_total),
       counter(ended.bytes_done), counter(ended.bytes_sent), counter(ended.checksum_failures),
       table::text(step.ending.error), table::text(json_of(ended)), table::number(ended.streams),
       table::text(table::kServerWentAway), counter(ended.bytes_kept),
       table::text(protocol::name_of(ended.method))});
  if (is_written && settings::history_keep >= 0) table::prune(access, settings::history_keep);
  table::sweep(access);
  table::notify(ended.id, ended.state);
}

void tell_only(Step& step, const table::Access&) {
  table::notify(record_of(step).id, step.ending.state);
}

bool has_row(const Handle& session) {
  return OidIsValid(session.area->records) && session.record->id > 0;
}

}  // namespace

void begin(const Handle& session) {
  if (session.area->request_id != 0) return begin_request(session);
  Step step{&session, insert_row, {}, "", false};
  bool is_kept = OidIsValid(session.area->records) && attempt(step, "write the history") == Result::kDone;
  if (is_kept) return;
  // Known to shared memory only, as on a standby.
  session::Locked::begin();
  session.record->id = --session::shared()->last_standby_id;
  session::Locked::end();
}

void end(const Handle& session, State state, const char* error) {
  if (!has_row(session)) return;
  Step step{&session, write_ending, {state, error}, "", false};
  attempt(step, "write the history");
}

void tell(const Handle& session, State state) {
  if (!has_row(session)) return;
  Step step{&session, tell_only, {state, nullptr}, "", false};
  attempt(step, "tell listeners");
}

}  // namespace history
