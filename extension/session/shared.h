// shared.h: what all processes of this server know of its clones, in shared memory
// without shared_preload_libraries.
//
// Law of the lock: one LWLock, Shared::lock, guards every field of Shared and of
// its records but the atomics. It is held for a few copies at a time: no I/O, no
// ereport, no palloc, no other lock under it. The atomics are written as each
// field says and may be read by anybody at any time.
//
// What is large or per stream lives in the clone's own dynamic shared memory
// segment (SessionArea), which lives as long as a process of the clone does.
#pragma once

#include "extension/pg/server.h"
#include "extension/sender/gentle_pace.h"
#include "extension/session/order.h"
#include "protocol/limits.h"
#include "protocol/phase.h"
#include "protocol/request.h"

namespace session {

using protocol::Method;
using protocol::Phase;
using protocol::State;

inline constexpr int kLiveMax = 8;     // clones at once
inline constexpr int kRecordMax = 10;  // live ones and those that ended last

// One clone. Taken by the control backend (begin), then written by the clone
// worker, but for the fields marked otherwise; kept after the end until the
// oldest ended record is needed again.
struct Record {
  std::int64_t id;         // 0 until the worker took one; negative on a standby
  std::uint64_t generation;  // 0: never used; tells a reused record
  State state;
  Phase phase;
  Method method;          // control
  bool end_requested;     // control: the helper has read all files
  bool label_ready;       // worker: SessionArea::label is valid
  bool ack_requested;     // control: label and WAL are durable at the helper
  bool handed_over;       // worker: the permanent slot is there
  bool cancel_requested;  // any session: the worker shall end the clone
  bool lease_over;        // worker: it failed for want of a helper
  bool verify_checksums;  // control, at begin
  bool in_recovery;       // control, at begin: the donor is a standby
  State outcome;          // control: what the helper reported; kRunning: nothing yet
  pid_t worker_pid;
  pid_t control_pid;      // control: 0 when no control connection is attached
  Oid database;
  dsm_handle area;
  protocol::Token token;
  std::uint64_t hash_seed;
  XLogRecPtr start_lsn;
  XLogRecPtr stop_lsn;
  TimeLineID start_timeline;
  TimeLineID stop_timeline;
  std::uint64_t paused_ms;  // any session: when is_paused changed last
  TimestampTz started_at;
  TimestampTz finished_at;
  TimestampTz phase_started[protocol::kPhaseCount];  // 0: not reached
  std::uint64_t phase_bytes[protocol::kPhaseCount];  // on the wire, counted at its end
  std::uint16_t streams;
  char target[NAMEDATALEN];
  char slot_name[NAMEDATALEN];  // empty: none asked for
  char client_addr[48];
  char destination[96];
  char error[128];
  // Written by the control backend as the helper reports.
  pg_atomic_uint64 heartbeat_ms;  // monotonic_ms() of the last sign of life
  pg_atomic_uint64 durable_lsn;   // WAL fsynced by the helper
  pg_atomic_uint64 bytes_total;
  pg_atomic_uint64 files_total;
  pg_atomic_uint64 files_done;
  pg_atomic_uint64 bytes_kept;    // were at the helper already
  // Written by any session, under the lock: the streams send nothing while it is set.
  pg_atomic_uint32 is_paused;
  // Added to by the streams.
  pg_atomic_uint64 bytes_done;  // plain bytes; by the control backend, too, as the helper has it
  pg_atomic_uint64 bytes_sent;  // bytes on the wire
  pg_atomic_uint64 checksum_failures;
  // Written by the worker, once a second.
  pg_atomic_uint64 throughput;    // bytes_done per second, smoothed
  pg_atomic_uint64 wal_retained;  // bytes
};

struct Shared {
  LWLock lock;
  Oid database;              // home of all live clones; InvalidOid: none lives
  std::uint64_t generation;  // of the record taken last
  std::int64_t last_standby_id;
  Record records[kRecordMax];
};
// Without preloading it comes out of the slack the server leaves for small users, once for each build
// that runs until the server is restarted.
static_assert(sizeof(Shared) <= 8192);

enum class WaitingFor : std::uint8_t { kNothing, kHelper, kNetwork, kRate, kPause, kDisk, kGentle };
const char* name_of(WaitingFor waiting);

// One stream, written by its backend; pid under Shared::lock.
struct StreamSlot {
  pid_t pid;
  pg_atomic_uint64 bytes_done;
  pg_atomic_uint64 bytes_sent;
  pg_atomic_uint32 waiting_for;
  pg_atomic_uint32 compression_level;  // in use now, 0: none
  // Of its time lately, in percent: the link was the bound (bits 0-7), it read from the disk
  // (8-15), it computed (16-23). sender/meter.h.
  pg_atomic_uint32 shares;
  slock_t file_lock;  // guards `file`
  char file[256];     // its end, where the path is longer
};

// How many damaged pages the streams have found in a file.
struct DamagedFile {
  std::uint64_t path_hash;
  std::uint32_t page_count;  // 0: no file
};

// The dynamic segment of one clone. Made by the control backend, which fills the
// wishes before the worker starts; afterwards those are constant.
struct SessionArea {
  std::uint64_t generation;
  // The helper's wishes.
  char label[protocol::kTextMax];
  std::int64_t request_id;  // the request it carries out, 0: none
  char request_uuid[40];
  Oid records;             // clone_records; InvalidOid on a standby
  bool slot_given;
  bool fast_checkpoint;
  bool advance_slot;
  XLogRecPtr replay_from;  // invalid: a backup is made
  protocol::Compression compression;
  std::int8_t compression_level;
  // Page checksums were on when the session began, and whenever somebody looked since.
  pg_atomic_uint32 page_checksums_on;
  pid_t wal_sender_pid;    // of the helper's WAL connection, as it says; 0: none; Shared::lock
  Oid role;                // whose clone it is
  // The token bucket of all streams (sender/rate.h).
  slock_t rate_lock;
  std::uint64_t rate_next_us;      // when the next frame may go, monotonic
  pg_atomic_uint64 max_rate;       // bytes per second, 0: no limit
  // Of a gentle clone (sender/gentle.h): the pace under rate_lock, its result for all to see.
  bool gentle;
  sender::GentlePace gentle_pace;
  pg_atomic_uint64 gentle_look_us;    // when somebody shall look again, monotonic
  pg_atomic_uint32 gentle_permille;
  pg_atomic_uint64 disk_read_bytes;   // not in the page cache before, and how long it took,
  pg_atomic_uint64 disk_read_us;      // since somebody looked
  // Of the files that damaged pages were found in last; under damage_lock (sender/page_verifier.cpp).
  slock_t damage_lock;
  std::uint32_t damaged_next;  // the place for the next file, modulo their number
  DamagedFile damaged_files[protocol::kStreamsMax];
  // Filled by the worker before Record::label_ready; texts end with a zero.
  std::uint32_t label_size;
  char backup_label[16 * 1024];
  char new_tablespaces[4 * 1024];
  // The whole text of the failure; Record::error holds its beginning.
  char error[protocol::kTextMax];
  StreamSlot streams[protocol::kStreamsMax];
};

// Attaches to the shared memory of this build of the library, made on first use.
Shared* shared();

// Milliseconds and microseconds of a clock that no administrator sets.
std::uint64_t monotonic_ms();
std::uint64_t monotonic_us();

// Were page checksums on before the backup began, and all the time since? A server that lets them be
// switched while it runs has pages without any until they are on again. Asked by each stream when
// it has read pages, and by the worker each second.
bool have_page_checksums(SessionArea* area);

struct Locked {
  // For short stretches: Locked::begin(); ...; Locked::end(). No destructor, as
  // ereport would skip it; nothing between the two may ereport.
  static void begin(LWLockMode mode = LW_EXCLUSIVE) { LWLockAcquire(&shared()->lock, mode); }
  static void end() { LWLockRelease(&shared()->lock); }
};

// Wakes a process of this server; does nothing if it is gone.
void wake(pid_t pid);

// --- a clone as its own processes hold it ----------------------------------

struct Handle {
  Record* record = nullptr;  // valid while the generation agrees
  std::uint64_t generation = 0;
  SessionArea* area = nullptr;
  dsm_segment* segment = nullptr;
};

struct Wishes {
  const char* target;
  const char* destination;
  const char* slot_name;
  const char* label;
  const char* client_addr;
  std::int64_t request_id;
  const char* request_uuid;
  Oid records;
  bool slot_given;
  bool fast_checkpoint;
  bool verify_checksums;
  bool advance_slot;
  bool in_recovery;
  protocol::Compression compression;
  std::int8_t compression_level;
  std::uint16_t streams;
  std::uint64_t max_rate;
  bool gentle;
  XLogRecPtr replay_from;
  Method method;
  pid_t wal_sender_pid;
};

// Takes a record for a new clone. ERROR if the target has a live clone, all
// places are taken, or clones run in another database.
Handle open_session(const Wishes& wishes);

// Attaches this process to the live clone with this token. If there is none, an ERROR with
// one of the SQLSTATEs of protocol/sqlstate.h.
Handle attach(const protocol::Token& token);
Handle attach_worker(int index, std::uint64_t generation);
// The same for the live clone of this number in this database; an empty Handle if none
// is. Give it back with detach().
Handle attach_live(std::int64_t id);

// Ends the mapping of the clone's segment.
void detach(Handle& handle);

// The table of state changes, each a line of the log. A phase never goes back; a
// state never leaves the ended ones. Both are no-ops otherwise. Under no lock.
void enter_phase(const Handle& handle, Phase phase);
void enter_state(const Handle& handle, State state);

// The helper's control connection is there, or away: kRunning (or kPaused) and kDisconnected.
void enter_attached(const Handle& handle, bool is_attached);

// The ERROR that tells a helper that its clone has ended, and why.
[[noreturn]] void refuse_ended(const Handle& handle);

// Ends the clone: state, time, and the first cause. Keeps an earlier cause.
void finish(const Handle& handle, State state, const char* error);
void note_error(const Handle& handle, const char* error);

struct View {
  State state;
  Phase phase;
  bool is_current;  // false: the record went to another clone
  bool end_requested, label_ready, ack_requested, handed_over, lease_over, cancel_requested, is_paused;
  State outcome;
  std::int64_t id;
  pid_t worker_pid, control_pid;
  XLogRecPtr start_lsn, stop_lsn;
  TimeLineID start_timeline, stop_timeline;
  char error[protocol::kTextMax];
};
// A copy of what others may change, taken under the lock.
View look(const Handle& handle);

// How far its conversation has come, as the donor has heard it.
Stage stage_of(const Handle& handle);

// Without a lock, for loops that send.
inline bool is_paused(const Handle& handle) {
  return pg_atomic_read_u32(&handle.record->is_paused) != 0;
}

struct PhaseTimes {
  Phase phase;
  TimestampTz started_at;
  TimestampTz finished_at;  // 0: not yet
  std::uint64_t bytes;      // sent in it
};
// The phases that a clone has reached, in their order, into `out` (kPhaseCount places);
// returns their number. `record` is a copy.
int phases_of(Record& record, PhaseTimes* out);

// Copies all used records, newest first, into `out` (kRecordMax places); returns
// their number. Atomics are copied as plain values of the same fields.
int copy_records(Record* out);

}  // namespace session
