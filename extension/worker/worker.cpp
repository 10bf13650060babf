// worker.cpp: the life of a clone on the donor, in run().
#include "extension/worker/worker.h"

#include "extension/changes/survey.h"
#include "extension/pg/compat.h"
#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/session/build.h"
#include "extension/session/settings.h"
#include "extension/session/table.h"
#include "extension/worker/history.h"
#include "extension/worker/slots.h"
#include "extension/worker/tablespaces.h"

namespace worker {
namespace {

using protocol::Phase;
using protocol::State;
using session::Record;

// How often the temporary slot follows what the helper has made durable, how often
// its health is looked at, and how often the log gets a line.
constexpr std::uint64_t kAdvanceIntervalMs = 60 * 1000;
constexpr std::uint64_t kHealthIntervalMs = 5 * 1000;
constexpr std::uint64_t kLogIntervalMs = 60 * 1000;

// What the registering backend tells its worker. A worker that runs another build of
// the library must not touch memory of this one.
struct Extra {
  char build[24];
  std::uint64_t generation;
};
static_assert(sizeof(Extra) <= BGW_EXTRALEN);

Extra make_extra(std::uint64_t generation) {
  Extra extra{};
  extra.generation = generation;
  strlcpy(extra.build, session::kBuild, sizeof(extra.build));
  return extra;
}

// The one clone of this process.
struct Work {
  session::Handle session;
  char temporary_slot[NAMEDATALEN];
  char made_slot[NAMEDATALEN];  // the permanent slot, once it is made here
  const char* stop_reason;      // why the clone shall end, once that is known
  State stop_state;
  std::uint64_t advanced_ms, checked_ms, logged_ms, ticked_ms;
  std::uint64_t ticked_bytes;
  int shown_phase;   // in pg_stat_progress_basebackup, 0: not there
  std::int64_t shown_bytes;
  State told_state;  // to listeners
  int tablespace_count;  // at the start of the backup
  TimeoutId lease_watch = MAX_TIMEOUTS;  // MAX_TIMEOUTS: not made yet
};
Work work{};

Record& record() { return *work.session.record; }

std::uint64_t silence_ms() {
  std::uint64_t last = pg_atomic_read_u64(&record().heartbeat_ms);
  std::uint64_t now = session::monotonic_ms();
  return now > last ? now - last : 0;
}

bool lease_is_over() {
  return silence_ms() > static_cast<std::uint64_t>(settings::reconnect_timeout_s) * 1000;
}

// Runs as a signal handler each second while the checkpoint is waited for, when no
// loop of ours runs: reads atomics only.
void watch_lease() {
  if (!lease_is_over()) return;
  InterruptPending = true;
  QueryCancelPending = true;
  SetLatch(MyLatch);
}

// --- reasons to end -----------------------------------------------------------

bool pause_is_over(const session::View& seen) {
  return seen.is_paused && session::monotonic_ms() - record().paused_ms >
                               static_cast<std::uint64_t>(settings::pause_timeout_s) * 1000;
}

void find_stop_reason() {
  if (work.stop_reason != nullptr) return;
  session::View seen = session::look(work.session);
  if (seen.outcome == State::kFailed || seen.outcome == State::kCancelled) {
    work.stop_state = seen.outcome;
    work.stop_reason = seen.error[0] != '\0' ? pstrdup(seen.error) : "the helper gave up";
  } else if (seen.cancel_requested && seen.outcome != State::kCompleted) {
    work.stop_state = State::kCancelled;
    work.stop_reason = pstrdup(seen.error);
  } else if (pause_is_over(seen)) {
    work.stop_state = State::kFailed;
    work.stop_reason = "the clone was paused for longer than pg_standby_clone.pause_timeout";
  } else if (lease_is_over()) {
    work.stop_state = State::kFailed;
    work.stop_reason = table::kHelperSilent;
    session::Locked::begin();
    record().lease_over = true;
    session::Locked::end();
  } else if (record().in_recovery && !RecoveryInProgress() && !seen.label_ready) {
    work.stop_state = State::kFailed;
    work.stop_reason = "the standby was promoted during the clone";
  }
}

constexpr char kSlotLost[] =
    "the clone's replication slot was invalidated: it held more WAL than max_slot_wal_keep_size allows";

void check_slot_health() {
  slots::Slot slot = slots::find(work.temporary_slot);
  if (slot.exists && !slot.is_lost && !XLogRecPtrIsInvalid(slot.restart_lsn)) {
    XLogRecPtr now = record().in_recovery ? GetXLogReplayRecPtr(nullptr) : GetXLogInsertRecPtr();
    pg_atomic_write_u64(&record().wal_retained,
                        now > slot.restart_lsn ? now - slot.restart_lsn : 0);
    return;
  }
  work.stop_state = State::kFailed;
  work.stop_reason = kSlotLost;
}

[[noreturn]] void stop_now() {
  ereport(ERROR, errcode(ERRCODE_QUERY_CANCELED), errmsg("%s", work.stop_reason));
  pg_unreachable();
}

// --- what is done each second ---------------------------------------------------

// The server's own view. What it shows never falls back: what is sent twice is counted twice until the helper
// says what it has.
void show_counts() {
  auto done = static_cast<std::int64_t>(pg_atomic_read_u64(&record().bytes_done));
  auto total = static_cast<std::int64_t>(pg_atomic_read_u64(&record().bytes_total));
  work.shown_bytes = Max(work.shown_bytes, done);
  constexpr int kParameters[] = {PROGRESS_BASEBACKUP_BACKUP_TOTAL, PROGRESS_BASEBACKUP_BACKUP_STREAMED,
                                 PROGRESS_BASEBACKUP_TBLSPC_TOTAL, PROGRESS_BASEBACKUP_PHASE};
  const int64 values[] = {total > 0 ? Max(total, work.shown_bytes) : -1, work.shown_bytes,
                          work.tablespace_count + 1, work.shown_phase};
  pgstat_progress_update_multi_param(lengthof(kParameters), kParameters, values);
}

void show_progress() {
  show_counts();
  std::uint64_t total = pg_atomic_read_u64(&record().bytes_total);
  std::uint64_t done = pg_atomic_read_u64(&record().bytes_done);
  std::uint64_t now = session::monotonic_ms();
  if (now - work.ticked_ms < 1000) return;
  // It falls where the helper has less than was sent.
  std::uint64_t more = done > work.ticked_bytes ? done - work.ticked_bytes : 0;
  std::uint64_t rate = more * 1000 / (now - work.ticked_ms);
  std::uint64_t smoothed = pg_atomic_read_u64(&record().throughput);
  pg_atomic_write_u64(&record().throughput, smoothed == 0 ? rate : (smoothed * 4 + rate) / 5);
  work.ticked_ms = now;
  work.ticked_bytes = done;
  if (now - work.logged_ms >= kLogIntervalMs) {
    work.logged_ms = now;
    ereport(LOG, errmsg("pg_standby_clone: clone %lld to \"%s\" has copied %llu of %llu bytes",
                        static_cast<long long>(record().id), record().target,
                        static_cast<unsigned long long>(done),
                        static_cast<unsigned long long>(Max(total, done))));
  }
}

void show_phase(int phase) {
  work.shown_phase = phase;
  if (phase == 0) return;
  // AbortTransaction clears the row.
  if (MyBEEntry->st_progress_command != PROGRESS_COMMAND_BASEBACKUP) {
    pgstat_progress_start_command(PROGRESS_COMMAND_BASEBACKUP, InvalidOid);
    compat::show_full_backup();
  }
  show_counts();
}

void follow_helper() {
  session::View seen = session::look(work.session);
  bool is_away = seen.control_pid == 0 || silence_ms() > protocol::kSilenceMs;
  session::enter_attached(work.session, !is_away);
  // The control connection changes it too, when it comes and goes.
  State now = session::look(work.session).state;
  if (now == work.told_state || protocol::is_ended(now)) return;
  work.told_state = now;
  history::tell(work.session, now);
  show_phase(work.shown_phase);
}

void advance_slot(bool at_once) {
  std::uint64_t now = session::monotonic_ms();
  if (!work.session.area->advance_slot) return;
  if (!at_once && now - work.advanced_ms < kAdvanceIntervalMs) return;
  work.advanced_ms = now;
  XLogRecPtr durable = pg_atomic_read_u64(&record().durable_lsn);
  // A standby asks from the beginning of a segment.
  durable -= XLogSegmentOffset(durable, wal_segment_size);
  if (durable == 0 || durable <= slots::find(work.temporary_slot).restart_lsn) return;
  slots::advance(work.temporary_slot, durable);
}

// One turn of every waiting loop. An ERROR when the clone shall end.
void take_turn() {
  static const std::uint32_t event = compat::wait_event("StandbyCloneWorker");
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, event);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
  std::uint64_t now = session::monotonic_ms();
  if (now - work.checked_ms >= kHealthIntervalMs) {
    work.checked_ms = now;
    check_slot_health();
    if (work.stop_reason == nullptr) slots::touch(work.temporary_slot);
  }
  find_stop_reason();
  if (work.stop_reason != nullptr) stop_now();
  follow_helper();
  session::have_page_checksums(work.session.area);
  show_progress();
  advance_slot(false);
}

// --- the steps ------------------------------------------------------------------

// With the WAL that this clone needs held already.
void drop_left_behind() {
  slots::drop_left_behind(record().target, work.session.area->slot_given ? record().slot_name : "");
}

void reserve_wal() {
  StartTransactionCommand();
  slots::create_temporary(work.temporary_slot);
  CommitTransactionCommand();
  drop_left_behind();
}

// The timeline of the checkpoint the backup starts at.
TimeLineID checkpoint_timeline() {
  return pg::read_control_file().checkPointCopy.ThisTimeLineID;
}

void start_backup() {
  session::enter_phase(work.session, Phase::kCheckpoint);
  show_phase(PROGRESS_BASEBACKUP_PHASE_WAIT_CHECKPOINT);
  work.lease_watch = RegisterTimeout(USER_TIMEOUT, watch_lease);
  enable_timeout_every(work.lease_watch, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 1000), 1000);

  // In a transaction, but with no snapshot: the checkpoint may take minutes, and
  // xmin must not stand still for them.
  StartTransactionCommand();
  Datum lsn = DirectFunctionCall2(pg_backup_start, CStringGetTextDatum(work.session.area->label),
                                  BoolGetDatum(work.session.area->fast_checkpoint));
  CommitTransactionCommand();
  disable_timeout(work.lease_watch, false);

  TimeLineID timeline = checkpoint_timeline();
  // The slot was made before the start; what lies between is not needed any more.
  slots::advance(work.temporary_slot,
                 DatumGetLSN(lsn) - XLogSegmentOffset(DatumGetLSN(lsn), wal_segment_size));
  work.tablespace_count = tablespaces::remember();
  session::Locked::begin();
  record().start_lsn = DatumGetLSN(lsn);
  record().start_timeline = timeline;
  session::Locked::end();
}

// A clone that is paused takes no step.
bool is_paused() { return session::look(work.session).is_paused; }

void wait_for_end() {
  show_phase(PROGRESS_BASEBACKUP_PHASE_STREAM_BACKUP);
  session::enter_phase(work.session, Phase::kCopying);
  while (is_paused() || !session::look(work.session).end_requested) take_turn();
}

TimeLineID stop_timeline() {
  if (!record().in_recovery) return GetWALInsertionTimeLine();
  return pg::read_control_file().minRecoveryPointTLI;
}

// Instead of a backup: the standby has all up to `from` and replays what follows. The slot goes back first, so
// that what is found to be there stays. From there on nothing is left to be read: there is no phase of a backup.
void hold_wal_from(XLogRecPtr from) {
  StartTransactionCommand();
  slots::create_temporary(work.temporary_slot);
  pg::set_slot(work.temporary_slot, from);
  if (!changes::has_wal_from(from))
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the WAL from %X/%X on is not all here any more", static_cast<unsigned>(from >> 32),
                   static_cast<unsigned>(from)));
  CommitTransactionCommand();
  drop_left_behind();
  // Reads pg_control, which is nothing to do under a lock.
  TimeLineID timeline = stop_timeline();
  XLogRecPtr until = changes::end_of_wal();
  session::Locked::begin();
  record().start_lsn = from;
  record().stop_lsn = until;
  record().start_timeline = record().stop_timeline = timeline;
  record().label_ready = true;
  session::Locked::end();
  session::enter_phase(work.session, Phase::kFinishing);
}

void stop_backup() {
  check_slot_health();
  if (work.stop_reason != nullptr) stop_now();
  StartTransactionCommand();
  tablespaces::note_new(work.session.area->new_tablespaces,
                        sizeof(work.session.area->new_tablespaces));
  // Its archiving is not waited for: all WAL of the backup is held by the slot and
  // goes over the helper's own connection (trap 6).
  Datum result = OidFunctionCall1(F_PG_BACKUP_STOP, BoolGetDatum(false));
  HeapTupleHeader row = DatumGetHeapTupleHeader(result);
  bool is_null = false;
  XLogRecPtr stop_lsn = DatumGetLSN(GetAttributeByNum(row, 1, &is_null));
  char* label = TextDatumGetCString(GetAttributeByNum(row, 2, &is_null));
  std::size_t size = std::strlen(label);
  session::SessionArea& area = *work.session.area;
  if (size >= sizeof(area.backup_label))
    elog(ERROR, "the backup label of %zu bytes is too long for a clone", size);
  std::memcpy(area.backup_label, label, size);
  area.label_size = static_cast<std::uint32_t>(size);
  TimeLineID timeline = stop_timeline();
  CommitTransactionCommand();

  session::Locked::begin();
  record().stop_lsn = stop_lsn;
  record().stop_timeline = timeline;
  record().label_ready = true;
  pid_t control = record().control_pid;
  session::Locked::end();
  session::wake(control);
  show_phase(PROGRESS_BASEBACKUP_PHASE_TRANSFER_WAL);
  session::enter_phase(work.session, Phase::kWal);
}

void wait_for_acknowledgement() {
  while (is_paused() || !session::look(work.session).ack_requested) take_turn();
}

void hand_over_slot() {
  check_slot_health();
  if (work.stop_reason != nullptr) stop_now();
  if (record().slot_name[0] != '\0') {
    advance_slot(true);
    StartTransactionCommand();
    bool is_made = slots::hand_over(work.temporary_slot, record().slot_name,
                                    work.session.area->slot_given, record().target);
    CommitTransactionCommand();
    if (is_made) strlcpy(work.made_slot, record().slot_name, sizeof(work.made_slot));
  }
  session::Locked::begin();
  record().handed_over = true;
  pid_t control = record().control_pid;
  session::Locked::end();
  session::wake(control);
}

void leave_slot_to_standby();
void give_slot_away();

// Until the helper says how it went. A slot that is in use by then tells it too:
// the standby runs.
void wait_for_outcome() {
  while (session::look(work.session).outcome != State::kCompleted) {
    if (lease_is_over() && record().slot_name[0] != '\0' &&
        slots::find(record().slot_name).is_active)
      return;
    take_turn();
    leave_slot_to_standby();
  }
}

void end_session(State state, const char* error) {
  leave_slot_to_standby();
  history::end(work.session, state, error);
  session::finish(work.session, state, error);
}

void run() {
  history::begin(work.session);
  if (XLogRecPtrIsInvalid(work.session.area->replay_from)) {
    reserve_wal();
    start_backup();
    wait_for_end();
    stop_backup();
  } else {
    hold_wal_from(work.session.area->replay_from);
  }
  wait_for_acknowledgement();
  hand_over_slot();
  wait_for_outcome();
  give_slot_away();
  end_session(State::kCompleted, "");
}

// --- the end ----------------------------------------------------------------------

void terminate_streams() {
  session::Locked::begin();
  for (session::StreamSlot& slot : work.session.area->streams)
    if (slot.pid != 0) kill(slot.pid, SIGTERM);
  session::Locked::end();
}

void give_slot_away() {
  if (work.made_slot[0] != '\0') slots::disown(work.made_slot);
  work.made_slot[0] = '\0';
}

// From kStarting on the directory is a complete standby: whatever becomes of its start, the slot holds what it
// needs, and is not ours any more. Asked before the record is finished, which may then go to another clone.
void leave_slot_to_standby() {
  if (session::look(work.session).phase >= Phase::kStarting) give_slot_away();
}

// Gives back what outlives this process: the permanent slot of a clone that did not
// complete. The temporary slot and the backup end with the process. Comes last, for it may fail, and is tried
// once: with no transaction in progress, or in the exit callback.
void drop_made_slot() {
  char name[NAMEDATALEN];
  strlcpy(name, work.made_slot, sizeof(name));
  work.made_slot[0] = '\0';
  slots::Slot slot = slots::find(name);
  if (!slot.exists) return;
  if (!slot.is_active) return pg::drop_slot(name);
  ereport(LOG, errmsg("pg_standby_clone: replication slot \"%s\" of a clone that did not "
                      "complete is in use and stays",
                      name));
}

// Believed only if it is one, of the same role. 0: it is not there.
pid_t wal_sender_of(const session::Handle& session) {
  const session::SessionArea& area = *session.area;
  session::Locked::begin(LW_SHARED);
  pid_t wanted = area.wal_sender_pid;
  session::Locked::end();
  PGPROC* process = compat::proc_of(wanted);
  if (process == nullptr || process->roleId != area.role) return 0;
  bool is_one = false;
  pg::for_each_wal_sender([&](const pg::WalSender& sender) { is_one |= sender.pid == wanted; });
  return is_one ? wanted : 0;
}

// Before the server invalidates a slot it terminates whoever holds it (slot.c).
bool is_losing_slot() {
  slots::Slot slot = slots::find(work.temporary_slot);
  if (!slot.exists || XLogRecPtrIsInvalid(slot.restart_lsn)) return false;
  WALAvailability availability = GetWALAvailability(slot.restart_lsn);
  return slot.is_lost || availability == WALAVAIL_UNRESERVED || availability == WALAVAIL_REMOVED;
}

void leave(int, Datum) {
  if (work.session.record == nullptr) return;
  State state = session::look(work.session).state;
  bool was_ended = protocol::is_ended(state);
  if (!was_ended && pg::server_is_stopping()) {
    // Not the clone's failure: the donor goes away, and so the helper shall see it.
    leave_slot_to_standby();
    ereport(LOG, errmsg("pg_standby_clone: clone %lld to \"%s\" is left by the server's shutdown",
                        static_cast<long long>(record().id), record().target));
  } else if (!was_ended && session::look(work.session).handed_over) {
    // The directory may be a standby by now: the helper knows, and the control connection takes its word. The slot
    // stays until then, and says whose it is.
    leave_slot_to_standby();
    work.made_slot[0] = '\0';
  } else if (!was_ended) {
    session::finish(work.session, State::kFailed,
                    is_losing_slot() ? kSlotLost : "the clone worker was terminated");
  }
  terminate_streams();
  session::Locked::begin();
  pid_t control = 0;
  if (record().generation == work.session.generation) {
    record().worker_pid = 0;
    control = record().control_pid;
  }
  session::Locked::end();
  session::wake(control);
  // A frozen helper would keep it, and a shutdown of the server waits for WAL senders.
  if (state != State::kCompleted) terminate_wal_sender(work.session);
  drop_made_slot();
}

void fail(const ErrorData* error) {
  AbortOutOfAnyTransaction();
  pg::release_slot();
  LWLockReleaseAll();
  // A cancel has done its work, the lease's as well: it must not hit what is left to do.
  if (work.lease_watch != MAX_TIMEOUTS) disable_timeout(work.lease_watch, false);
  compat::ignore_signal(SIGINT);
  QueryCancelPending = false;
  find_stop_reason();
  if (work.stop_reason != nullptr) {
    end_session(work.stop_state, work.stop_reason);
  } else {
    end_session(State::kFailed, error->message);
  }
}

void configure() {
  // Nothing of the database's or a role's settings may hold up or mislead a clone
  // (traps 77 and 78).
  struct {
    const char* name;
    const char* value;
  } constexpr kSettings[] = {
      {"search_path", "pg_catalog, pg_temp"}, {"synchronous_commit", "local"},
      {"statement_timeout", "0"},             {"lock_timeout", "0"},
      {"idle_in_transaction_session_timeout", "0"},
      {"default_transaction_read_only", "off"}, {"transaction_timeout", "0"},
      {"client_min_messages", "error"}};
  for (const auto& setting : kSettings) {
    if (GetConfigOption(setting.name, true, false) == nullptr) continue;
    SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_OVERRIDE);
  }
}

void main(int index) {
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGINT, StatementCancelHandler);
  BackgroundWorkerUnblockSignals();

  Extra extra;
  std::memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
  Extra mine = make_extra(extra.generation);
  if (std::memcmp(&extra, &mine, sizeof(extra)) != 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the pg_standby_clone library was replaced while it was in use"),
            errhint("Reconnect, and run the clone again."));
  if (index < 0 || index >= session::kRecordMax) elog(ERROR, "no clone of number %d", index);
  Oid database = session::shared()->records[index].database;
  BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
  configure();
  before_shmem_exit(leave, 0);
  work.session = session::attach_worker(index, extra.generation);
  work.told_state = State::kRunning;
  temporary_slot_name(work.temporary_slot, extra.generation);
  work.ticked_ms = work.logged_ms = work.advanced_ms = session::monotonic_ms();

  MemoryContext outer = CurrentMemoryContext;
  PG_TRY();
  {
    run();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(outer);
    HOLD_INTERRUPTS();
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    RESUME_INTERRUPTS();
    fail(error);
    drop_made_slot();
  }
  PG_END_TRY();
  // The exit drops the temporary slot, aborts a backup that still runs, and wakes
  // the control connection.
  proc_exit(0);
}

}  // namespace

void terminate_wal_sender(const session::Handle& session) {
  constexpr std::uint64_t kPatienceMs = 1000, kAgainMs = 100;
  std::uint64_t began = session::monotonic_ms(), due = began;
  for (std::uint64_t now = began; now - began < kPatienceMs; now = session::monotonic_ms()) {
    pid_t sender = wal_sender_of(session);
    if (sender == 0) return;
    // The first signal makes it say why it ends; where its peer is frozen and the sockets are full, for ever.
    // The second one makes it leave without a word (ProcessClientWriteInterrupt in tcop/postgres.c).
    if (now >= due) {
      kill(sender, SIGTERM);
      due = now + kAgainMs;
    }
    pg_usleep(10000);
  }
}

void temporary_slot_name(char (&name)[NAMEDATALEN], std::uint64_t generation) {
  snprintf(name, sizeof(name), "pg_standby_clone_%llu",
           static_cast<unsigned long long>(generation));
}

BackgroundWorkerHandle* start(const session::Handle& session) {
  BackgroundWorker wanted{};
  // Not BGWORKER_INTERRUPTIBLE (19): a CREATE DATABASE with this one as its template would end a clone of
  // hours, and still meet the streams.
  wanted.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  wanted.bgw_start_time = BgWorkerStart_ConsistentState;
  wanted.bgw_restart_time = BGW_NEVER_RESTART;
  strlcpy(wanted.bgw_library_name, "pg_standby_clone", sizeof(wanted.bgw_library_name));
  strlcpy(wanted.bgw_function_name, "pg_standby_clone_worker_main",
          sizeof(wanted.bgw_function_name));
  snprintf(wanted.bgw_name, sizeof(wanted.bgw_name), "standby clone worker for %s",
           session.record->target);
  strlcpy(wanted.bgw_type, "standby clone worker", sizeof(wanted.bgw_type));
  wanted.bgw_main_arg = Int32GetDatum(
      static_cast<int>(session.record - session::shared()->records));
  Extra extra = make_extra(session.generation);
  std::memcpy(wanted.bgw_extra, &extra, sizeof(extra));
  wanted.bgw_notify_pid = MyProcPid;
  BackgroundWorkerHandle* handle = nullptr;
  if (!RegisterDynamicBackgroundWorker(&wanted, &handle)) {
    session::finish(session, State::kFailed, "no background worker is free");
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("this server has no background worker free for the clone"),
            errhint("Raise max_worker_processes and restart the server."));
  }
  return handle;
}

void interrupt(const session::Handle& session) {
  session::View seen = session::look(session);
  if (!seen.is_current || seen.worker_pid == 0) return;
  // Only the wait for the checkpoint needs it; elsewhere the latch does, and a
  // cancel would hit the clean-up.
  if (seen.phase <= Phase::kCheckpoint) kill(seen.worker_pid, SIGINT);
}

}  // namespace worker

void pg_standby_clone_worker_main(Datum index) { worker::main(DatumGetInt32(index)); }
