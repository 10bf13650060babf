// phase.h: the words for where a clone is, and how it is made. Views, log lines, progress bar and
// JSON use exactly these.
#pragma once

#include <cstdint>

namespace protocol {

enum class Phase : std::uint8_t {
  kQueued,      // requested, no helper yet
  kPreparing,   // checks, temporary slot
  kCheckpoint,  // pg_backup_start() waits for its checkpoint
  kCopying,     // files are sent
  kWal,         // WAL up to the stop LSN is received
  kSyncing,     // everything written is made durable
  kFinishing,   // label, settings, signal file, slot, commit
  kStarting,    // the standby is being started
  kStreaming,   // the standby streams from its slot
};
inline constexpr int kPhaseCount = 9;

enum class State : std::uint8_t {
  kQueued,
  kRunning,
  kPaused,
  kDisconnected,  // no heartbeat, the lease still runs
  kCompleted,
  kFailed,
  kCancelled,
};
inline constexpr int kStateCount = 7;

// How what is in the directory becomes the donor's.
enum class Method : std::uint8_t {
  kFull,     // all of it is sent
  kReplay,   // nothing is: its own recovery does it
  kCompare,  // what differs by hash is sent
  kChanges,  // what the WAL changed is sent
};
inline constexpr int kMethodCount = 4;

constexpr const char* name_of(Phase phase) {
  switch (phase) {
    case Phase::kQueued: return "queued";
    case Phase::kPreparing: return "preparing";
    case Phase::kCheckpoint: return "checkpoint";
    case Phase::kCopying: return "copying";
    case Phase::kWal: return "wal";
    case Phase::kSyncing: return "syncing";
    case Phase::kFinishing: return "finishing";
    case Phase::kStarting: return "starting";
    case Phase::kStreaming: return "streaming";
  }
  return "unknown";
}

constexpr const char* name_of(State state) {
  switch (state) {
    case State::kQueued: return "queued";
    case State::kRunning: return "running";
    case State::kPaused: return "paused";
    case State::kDisconnected: return "disconnected";
    case State::kCompleted: return "completed";
    case State::kFailed: return "failed";
    case State::kCancelled: return "cancelled";
  }
  return "unknown";
}

constexpr const char* name_of(Method method) {
  switch (method) {
    case Method::kFull: return "full";
    case Method::kReplay: return "replay";
    case Method::kCompare: return "compare";
    case Method::kChanges: return "changes";
  }
  return "unknown";
}

constexpr bool is_ended(State state) { return state >= State::kCompleted; }

}  // namespace protocol
