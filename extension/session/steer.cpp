// steer.cpp: cancel, pause and rate, from any session.
#include "extension/session/steer.h"

#include "extension/worker/worker.h"

namespace session {
namespace {

bool is_live(const Record& record) {
  return record.generation != 0 && !protocol::is_ended(record.state) &&
         record.database == MyDatabaseId;
}

}  // namespace

Live find_live(const char* target) {
  Live found{};
  Locked::begin(LW_SHARED);
  for (const Record& record : shared()->records)
    if (is_live(record) && std::strcmp(record.target, target) == 0) found = {true, record.id};
  Locked::end();
  return found;
}

bool has_ended(std::int64_t id) {
  bool found = false;
  Locked::begin(LW_SHARED);
  for (const Record& record : shared()->records)
    if (record.generation != 0 && record.id == id && record.database == MyDatabaseId &&
        protocol::is_ended(record.state))
      found = true;
  Locked::end();
  return found;
}

std::int64_t last_id() {
  std::int64_t last = 0;
  Locked::begin(LW_SHARED);
  for (const Record& record : shared()->records)
    if (record.generation != 0 && record.database == MyDatabaseId) last = Max(last, record.id);
  Locked::end();
  return last;
}

bool cancel(std::int64_t id, const char* reason) {
  Handle handle = attach_live(id);
  if (handle.record == nullptr) return false;
  note_error(handle, reason);
  bool is_asked = false;
  pid_t worker = 0;
  Locked::begin();
  if (handle.record->generation == handle.generation && is_live(*handle.record)) {
    handle.record->cancel_requested = true;
    worker = handle.record->worker_pid;
    is_asked = true;
  }
  Locked::end();
  if (is_asked) worker::interrupt(handle);
  wake(worker);
  detach(handle);
  return is_asked;
}

bool set_paused(std::int64_t id, bool is_paused, State& state_now) {
  Handle handle = attach_live(id);
  if (handle.record == nullptr) return false;
  Locked::begin();
  Record& record = *handle.record;
  bool is_current = record.generation == handle.generation && is_live(record);
  if (is_current && is_paused != (pg_atomic_read_u32(&record.is_paused) != 0)) {
    pg_atomic_write_u32(&record.is_paused, is_paused);
    record.paused_ms = monotonic_ms();
  }
  bool is_connected = is_current && record.state != State::kDisconnected;
  state_now = is_connected ? (is_paused ? State::kPaused : State::kRunning) : record.state;
  pid_t worker = record.worker_pid;
  Locked::end();
  // A clone whose helper is away stays disconnected; its worker shows the pause later.
  if (is_connected) enter_state(handle, state_now);
  wake(worker);
  detach(handle);
  return is_current;
}

bool set_rate(std::int64_t id, std::uint64_t bytes_per_second) {
  Handle handle = attach_live(id);
  if (handle.record == nullptr) return false;
  // What was waited for at the old rate is not owed at the new one.
  SpinLockAcquire(&handle.area->rate_lock);
  handle.area->rate_next_us = 0;
  pg_atomic_write_u64(&handle.area->max_rate, bytes_per_second);
  SpinLockRelease(&handle.area->rate_lock);
  Locked::begin(LW_SHARED);
  pid_t control = handle.record->control_pid;
  Locked::end();
  wake(control);
  detach(handle);
  return true;
}

}  // namespace session
