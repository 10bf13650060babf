// shared.cpp: the records of the clones and their changes of state.
#include "extension/session/shared.h"

#include "extension/pg/compat.h"
#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/session/build.h"
#include "extension/session/settings.h"
#include "protocol/sqlstate.h"
#include "protocol/version.h"

namespace session {
namespace {

Shared* attached = nullptr;
constexpr char kLockName[] = "pg_standby_clone";

// What each change means, for the log. {} stands for nothing: name and target come
// before it.
struct PhaseLine {
  Phase phase;
  const char* sentence;
};
constexpr PhaseLine kPhaseLines[] = {
    {Phase::kPreparing, "checks its needs and reserves WAL"},
    {Phase::kCheckpoint, "waits for the checkpoint that starts its backup"},
    {Phase::kCopying, "copies files"},
    {Phase::kWal, "has all files and receives WAL up to the end of the backup"},
    {Phase::kSyncing, "makes everything durable on the standby host"},
    {Phase::kFinishing, "sets up the standby"},
    {Phase::kStarting, "starts the standby"},
    {Phase::kStreaming, "streams"},
};

struct StateLine {
  State state;
  const char* sentence;
};
constexpr StateLine kStateLines[] = {
    {State::kRunning, "goes on"},
    {State::kPaused, "is paused"},
    {State::kDisconnected, "has lost its helper and waits for it"},
    {State::kCompleted, "is complete"},
    {State::kFailed, "failed"},
    {State::kCancelled, "was cancelled"},
};

bool is_ours(const Handle& handle) {
  return handle.record != nullptr && handle.record->generation == handle.generation;
}

void initialise(Shared* fresh) {
  std::memset(static_cast<void*>(fresh), 0, sizeof(Shared));
  pg::make_lock(&fresh->lock, kLockName);
  fresh->database = InvalidOid;
  // Not from 1: after a crash, or beside another build, a temporary slot may still have the name that
  // a counter from there would give again.
  std::uint32_t start = 0;
  if (!pg_strong_random(&start, sizeof(start))) start = static_cast<std::uint32_t>(MyProcPid);
  fresh->generation = start;
  for (Record& record : fresh->records) {
    record.state = State::kCompleted;
    for (auto* counter :
         {&record.heartbeat_ms, &record.durable_lsn, &record.bytes_total, &record.files_total,
          &record.files_done, &record.bytes_kept, &record.bytes_done, &record.bytes_sent,
          &record.checksum_failures, &record.throughput, &record.wal_retained})
      pg_atomic_init_u64(counter, 0);
    pg_atomic_init_u32(&record.is_paused, 0);
  }
}

bool is_live(const Record& record) {
  return record.generation != 0 && !protocol::is_ended(record.state);
}

// A place for a new clone: an unused one, else the one that ended first. NULL when
// kLiveMax clones live.
Record* find_place(Shared* all) {
  Record* best = nullptr;
  int live = 0;
  for (Record& record : all->records) {
    if (is_live(record))
      ++live;
    else if (best == nullptr || record.generation < best->generation)
      best = &record;
  }
  return live < kLiveMax ? best : nullptr;
}

// A worker that lives ends its clone within a second after the lease, and has so long for whatever holds it up.
constexpr std::uint64_t kEndMs = 60 * 1000;

// Looked at before a new clone is refused: a worker that never started, or did not come to its end, leaves its
// record for good. By time alone: its number may be that of another process by now.
bool is_abandoned(const Record& record) {
  std::uint64_t heard = pg_atomic_read_u64(const_cast<pg_atomic_uint64*>(&record.heartbeat_ms));
  std::uint64_t patience = static_cast<std::uint64_t>(settings::reconnect_timeout_s) * 1000 +
                           (record.worker_pid == 0 ? 0 : kEndMs);
  return is_live(record) && monotonic_ms() - heard > patience;
}

int sqlstate_of(const char* text) {
  return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]);
}

[[noreturn]] void refuse_ended(State state, bool lease_over, const char* error) {
  const char* sqlstate = lease_over                  ? protocol::kLeaseOver
                         : state == State::kCancelled ? protocol::kCloneCancelled
                                                      : protocol::kCloneFailed;
  ereport(ERROR, errcode(sqlstate_of(sqlstate)),
          errmsg("the clone has ended%s%s", error[0] != '\0' ? ": " : "", error));
  pg_unreachable();
}

SessionArea* make_area(dsm_segment** segment) {
  *segment = dsm_create(sizeof(SessionArea), 0);
  dsm_pin_mapping(*segment);
  auto* area = static_cast<SessionArea*>(dsm_segment_address(*segment));
  std::memset(static_cast<void*>(area), 0, sizeof(SessionArea));
  SpinLockInit(&area->rate_lock);
  SpinLockInit(&area->damage_lock);
  pg_atomic_init_u64(&area->max_rate, 0);
  pg_atomic_init_u64(&area->gentle_look_us, 0);
  pg_atomic_init_u32(&area->gentle_permille, sender::kFullPace);
  pg_atomic_init_u32(&area->page_checksums_on, DataChecksumsEnabled());
  pg_atomic_init_u64(&area->disk_read_bytes, 0);
  pg_atomic_init_u64(&area->disk_read_us, 0);
  for (StreamSlot& slot : area->streams) {
    pg_atomic_init_u64(&slot.bytes_done, 0);
    pg_atomic_init_u64(&slot.bytes_sent, 0);
    pg_atomic_init_u32(&slot.waiting_for, 0);
    pg_atomic_init_u32(&slot.compression_level, 0);
    pg_atomic_init_u32(&slot.shares, 0);
    SpinLockInit(&slot.file_lock);
  }
  return area;
}

Handle attach_area(Record* record, std::uint64_t generation, dsm_handle area) {
  dsm_segment* segment = dsm_find_mapping(area);
  if (segment == nullptr) segment = dsm_attach(area);
  if (segment == nullptr)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the clone has ended"), errhint("Run the clone again."));
  dsm_pin_mapping(segment);
  auto* mapped = static_cast<SessionArea*>(dsm_segment_address(segment));
  if (mapped->generation != generation) {
    dsm_detach(segment);
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the clone has ended"), errhint("Run the clone again."));
  }
  return {record, generation, mapped, segment};
}

}  // namespace

// Each build has its own: one that replaces it in mid-clone starts with an empty one, as after a restart,
// and no process of it reads what a process of the other has written.
Shared* shared() {
  if (attached != nullptr) return attached;
  char name[pg::kSharedNameSize];
  snprintf(name, sizeof(name), "pg_standby_clone %s", kBuild);
  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  auto* memory = static_cast<Shared*>(ShmemInitStruct(name, sizeof(Shared), &found));
  if (!found) initialise(memory);
  LWLockRelease(AddinShmemInitLock);
  pg::name_lock(&memory->lock, kLockName);
  attached = memory;
  return attached;
}

std::uint64_t monotonic_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

std::uint64_t monotonic_ms() { return monotonic_us() / 1000; }

bool have_page_checksums(SessionArea* area) {
  if (!DataChecksumsEnabled()) pg_atomic_write_u32(&area->page_checksums_on, 0);
  return pg_atomic_read_u32(&area->page_checksums_on) != 0;
}

void wake(pid_t pid) {
  if (PGPROC* proc = compat::proc_of(pid)) SetLatch(&proc->procLatch);
}

const char* name_of(WaitingFor waiting) {
  switch (waiting) {
    case WaitingFor::kNothing: return nullptr;
    case WaitingFor::kHelper: return "helper";
    case WaitingFor::kNetwork: return "network";
    case WaitingFor::kRate: return "rate";
    case WaitingFor::kPause: return "pause";
    case WaitingFor::kDisk: return "disk";
    case WaitingFor::kGentle: return "gentle";
  }
  return nullptr;
}

Handle open_session(const Wishes& wishes) {
  Shared* all = shared();
  Handle handle;
  SessionArea* area = make_area(&handle.segment);
  area->label[0] = '\0';
  strlcpy(area->label, wishes.label, sizeof(area->label));
  area->request_id = wishes.request_id;
  copy_text(area->request_uuid, view(wishes.request_uuid));
  area->records = wishes.records;
  area->slot_given = wishes.slot_given;
  area->fast_checkpoint = wishes.fast_checkpoint;
  area->advance_slot = wishes.advance_slot;
  area->compression = wishes.compression;
  area->compression_level = wishes.compression_level;
  area->wal_sender_pid = wishes.wal_sender_pid;
  area->role = GetUserId();
  area->gentle = wishes.gentle;
  area->replay_from = wishes.replay_from;
  pg_atomic_write_u64(&area->max_rate, wishes.max_rate);

  protocol::Token token;
  std::uint64_t seed = 0;
  if (!pg_strong_random(token.data(), token.size()) || !pg_strong_random(&seed, sizeof(seed)))
    ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random token"));

  Record fresh{};
  fresh.state = State::kRunning;
  fresh.phase = Phase::kPreparing;
  fresh.method = wishes.method;
  fresh.outcome = State::kRunning;
  fresh.verify_checksums = wishes.verify_checksums;
  fresh.in_recovery = wishes.in_recovery;
  fresh.control_pid = MyProcPid;
  fresh.database = MyDatabaseId;
  fresh.area = dsm_segment_handle(handle.segment);
  fresh.token = token;
  fresh.hash_seed = seed;
  fresh.started_at = GetCurrentTimestamp();
  fresh.phase_started[static_cast<int>(Phase::kPreparing)] = fresh.started_at;
  fresh.streams = wishes.streams;
  copy_text(fresh.target, view(wishes.target));
  copy_text(fresh.slot_name, view(wishes.slot_name));
  copy_text(fresh.client_addr, view(wishes.client_addr));
  copy_text(fresh.destination, view(wishes.destination));
  pg_atomic_init_u64(&fresh.heartbeat_ms, monotonic_ms());
  pg_atomic_init_u32(&fresh.is_paused, 0);

  enum { kTaken, kBusy, kFull, kElsewhere } answer = kTaken;
  std::int64_t other_id = 0;
  Oid home = InvalidOid;
  Locked::begin();
  bool any_live = false;
  for (Record& record : all->records) {
    if (is_abandoned(record)) record.state = State::kFailed;
    if (!is_live(record)) continue;
    any_live = true;
    if (std::strcmp(record.target, fresh.target) == 0) {
      answer = kBusy;
      other_id = record.id;
    }
  }
  home = all->database;
  if (any_live && home != MyDatabaseId) answer = kElsewhere;
  if (answer == kTaken) {
    Record* place = find_place(all);
    if (place == nullptr) {
      answer = kFull;
    } else {
      fresh.generation = ++all->generation;
      area->generation = fresh.generation;
      *place = fresh;
      all->database = MyDatabaseId;
      handle.record = place;
      handle.generation = fresh.generation;
      handle.area = area;
    }
  }
  Locked::end();
  if (answer != kTaken) dsm_detach(handle.segment);
  switch (answer) {
    case kTaken: break;
    case kBusy:
      ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
              errmsg("a clone to \"%s\" is already running", wishes.target),
              errdetail("It is clone %lld.", static_cast<long long>(other_id)),
              errhint("Wait for it, or give this one another --name."));
      break;
    case kFull:
      ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
              errmsg("%d clones are already running", kLiveMax), errhint("Wait for one to end."));
      break;
    case kElsewhere:
      ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
              errmsg("clones are running from another database of this server"),
              errhint("Connect to database \"%s\" (--dbname), or wait for them to end.",
                      get_database_name(home)));
      break;
  }
  return handle;
}

Handle attach(const protocol::Token& token) {
  Shared* all = shared();
  Record* found = nullptr;
  Record seen{};
  Locked::begin(LW_SHARED);
  for (Record& record : all->records) {
    // Compared as a whole; the token is 128 random bits, timing tells nothing of use.
    if (record.generation != 0 && record.token == token && record.database == MyDatabaseId) {
      found = &record;
      seen = record;
    }
  }
  Locked::end();
  if (found == nullptr)
    ereport(ERROR, errcode(sqlstate_of(protocol::kCloneUnknown)),
            errmsg("there is no clone with this token"),
            errdetail("Since the clone began this server has been restarted or its pg_standby_clone library "
                      "replaced, or it is another server."),
            errhint("Run the clone again."));
  if (!is_live(seen)) refuse_ended(seen.state, seen.lease_over, seen.error);
  return attach_area(found, seen.generation, seen.area);
}

Handle attach_worker(int index, std::uint64_t generation) {
  Shared* all = shared();
  Record* record = &all->records[index];
  dsm_handle area = 0;
  Locked::begin(LW_SHARED);
  bool current = record->generation == generation && is_live(*record);
  if (current) area = record->area;
  Locked::end();
  Handle handle;
  if (current) handle = attach_area(record, generation, area);
  // Named only now: a worker that is named answers for the session, and ends it when it
  // ends itself. The helper may have gone in between.
  Locked::begin();
  current = current && record->generation == generation && is_live(*record);
  if (current) record->worker_pid = MyProcPid;
  Locked::end();
  if (!current)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the clone ended before its worker started"));
  return handle;
}

Handle attach_live(std::int64_t id) {
  Record* found = nullptr;
  std::uint64_t generation = 0;
  dsm_handle area = 0;
  if (id == 0) return {};
  Locked::begin(LW_SHARED);
  for (Record& record : shared()->records) {
    if (!is_live(record) || record.id != id || record.database != MyDatabaseId) continue;
    found = &record;
    generation = record.generation;
    area = record.area;
  }
  Locked::end();
  return found == nullptr ? Handle{} : attach_area(found, generation, area);
}

void detach(Handle& handle) {
  if (handle.segment != nullptr) dsm_detach(handle.segment);
  handle = {};
}

void enter_phase(const Handle& handle, Phase phase) {
  bool entered = false;
  std::int64_t id = 0;
  char target[NAMEDATALEN];
  pid_t control = 0;
  TimestampTz now = GetCurrentTimestamp();
  Locked::begin();
  if (is_ours(handle) && is_live(*handle.record) && phase > handle.record->phase) {
    Record& record = *handle.record;
    record.phase_bytes[static_cast<int>(record.phase)] =
        pg_atomic_read_u64(&record.bytes_sent);
    record.phase = phase;
    record.phase_started[static_cast<int>(phase)] = now;
    id = record.id;
    std::memcpy(target, record.target, sizeof(target));
    control = record.control_pid;
    entered = true;
  }
  Locked::end();
  if (!entered) return;
  wake(control);
  for (const PhaseLine& line : kPhaseLines)
    if (line.phase == phase)
      ereport(LOG, errmsg("pg_standby_clone: clone %lld to \"%s\" %s", static_cast<long long>(id),
                          target, line.sentence));
}

void enter_attached(const Handle& handle, bool is_attached) {
  View seen = look(handle);
  if (seen.state == State::kQueued) return;
  enter_state(handle, !is_attached ? State::kDisconnected
                      : seen.is_paused ? State::kPaused : State::kRunning);
}

void enter_state(const Handle& handle, State state) {
  bool entered = false;
  std::int64_t id = 0;
  char target[NAMEDATALEN];
  char error[sizeof(Record::error)] = "";
  pid_t control = 0;
  Locked::begin();
  if (is_ours(handle) && is_live(*handle.record) && state != handle.record->state) {
    Record& record = *handle.record;
    record.state = state;
    id = record.id;
    std::memcpy(target, record.target, sizeof(target));
    std::memcpy(error, record.error, sizeof(error));
    control = record.control_pid;
    entered = true;
  }
  Locked::end();
  if (!entered) return;
  wake(control);
  for (const StateLine& line : kStateLines)
    if (line.state == state)
      ereport(LOG,
              errmsg("pg_standby_clone: clone %lld to \"%s\" %s%s%s", static_cast<long long>(id),
                     target, line.sentence, error[0] != '\0' ? ": " : "", error));
}

void refuse_ended(const Handle& handle) {
  View seen = look(handle);
  refuse_ended(seen.state, seen.lease_over, seen.error);
}

void note_error(const Handle& handle, const char* error) {
  if (error == nullptr || error[0] == '\0') return;
  Locked::begin();
  if (is_ours(handle) && is_live(*handle.record) && handle.record->error[0] == '\0') {
    copy_text(handle.record->error, view(error));
    copy_text(handle.area->error, view(error));
  }
  Locked::end();
}

void finish(const Handle& handle, State state, const char* error) {
  note_error(handle, error);
  TimestampTz now = GetCurrentTimestamp();
  Locked::begin();
  if (is_ours(handle) && is_live(*handle.record)) {
    Record& record = *handle.record;
    record.finished_at = now;
    record.phase_bytes[static_cast<int>(record.phase)] =
        pg_atomic_read_u64(&record.bytes_sent);
  }
  Locked::end();
  enter_state(handle, state);
}

View look(const Handle& handle) {
  View seen{};
  Locked::begin(LW_SHARED);
  const Record& record = *handle.record;
  seen.is_current = is_ours(handle);
  if (seen.is_current) {
    seen.state = record.state;
    seen.phase = record.phase;
    seen.end_requested = record.end_requested;
    seen.label_ready = record.label_ready;
    seen.ack_requested = record.ack_requested;
    seen.handed_over = record.handed_over;
    seen.cancel_requested = record.cancel_requested;
    seen.is_paused = pg_atomic_read_u32(&const_cast<pg_atomic_uint32&>(record.is_paused)) != 0;
    seen.lease_over = record.lease_over;
    seen.outcome = record.outcome;
    seen.id = record.id;
    seen.worker_pid = record.worker_pid;
    seen.control_pid = record.control_pid;
    seen.start_lsn = record.start_lsn;
    seen.stop_lsn = record.stop_lsn;
    seen.start_timeline = record.start_timeline;
    seen.stop_timeline = record.stop_timeline;
    strlcpy(seen.error, handle.area->error, sizeof(seen.error));
  }
  Locked::end();
  if (!seen.is_current) {
    seen.state = State::kFailed;
    strlcpy(seen.error, "the clone has ended", sizeof(seen.error));
  }
  return seen;
}

Stage stage_of(const Handle& handle) {
  Stage stage = Stage::kOver;
  Locked::begin(LW_SHARED);
  const Record& record = *handle.record;
  if (!is_ours(handle) || !is_live(record) || record.outcome != State::kRunning)
    stage = Stage::kOver;
  else if (record.handed_over)
    stage = Stage::kHandedOver;
  else if (record.ack_requested)
    stage = Stage::kHandingOver;
  else if (record.label_ready)
    stage = Stage::kEnded;
  else if (record.end_requested)
    stage = Stage::kEnding;
  else if (record.phase >= Phase::kCopying)
    stage = Stage::kOpen;
  else
    stage = Stage::kStarting;
  Locked::end();
  return stage;
}

int phases_of(Record& record, PhaseTimes* out) {
  int count = 0;
  std::uint64_t before = 0;
  for (int phase = 0; phase < protocol::kPhaseCount; ++phase) {
    if (record.phase_started[phase] == 0) continue;
    TimestampTz finished = record.finished_at;
    for (int later = protocol::kPhaseCount - 1; later > phase; --later)
      if (record.phase_started[later] != 0) finished = record.phase_started[later];
    bool is_last = static_cast<int>(record.phase) == phase;
    std::uint64_t sent = is_last && !protocol::is_ended(record.state)
                             ? pg_atomic_read_u64(&record.bytes_sent)
                             : record.phase_bytes[phase];
    out[count++] = {static_cast<Phase>(phase), record.phase_started[phase], finished,
                    sent > before ? sent - before : 0};
    before = Max(before, sent);
  }
  return count;
}

int copy_records(Record* out) {
  Shared* all = shared();
  int count = 0;
  Locked::begin(LW_SHARED);
  for (const Record& record : all->records)
    if (record.generation != 0) out[count++] = record;
  Locked::end();
  qsort(out, count, sizeof(Record), [](const void* left, const void* right) {
    auto a = static_cast<const Record*>(left)->generation;
    auto b = static_cast<const Record*>(right)->generation;
    return a > b ? -1 : a < b ? 1 : 0;
  });
  return count;
}

}  // namespace session
