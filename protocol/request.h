// request.h: what a helper asks of a donor. One request is one CopyData message.
// The grammar with a worked example is in docs/protocol.md.
//
// The first request on a connection is Hello. On the control connection (role 0)
// Probe, Survey, WalHash, Begin, Inherit, List, Changes, Heartbeat, End, AckLabel and Outcome may follow; on a stream
// (role 1 .. kStreamsMax) Read, Compare, PageHashes and NewerPages. pg_control is read by Read on
// any stream, after all other files and before End (traps 13 and 14).
#pragma once

#include "limits.h"
#include "phase.h"
#include "wire.h"

namespace protocol {

enum class RequestKind : std::uint8_t {
  kHello = 1,
  kBegin,
  kList,
  kRead,
  kCompare,
  kPageHashes,
  kHeartbeat,
  kPauseAck,
  kEnd,
  kAckLabel,
  kOutcome,
  kProbe,
  kSurvey,
  kWalHash,
  kChanges,
  kNewerPages,
  kInherit,
};

using Token = std::array<std::byte, kTokenSize>;
using Lsn = std::uint64_t;  // byte position in the WAL, PostgreSQL's XLogRecPtr

// kAuto: each stream moves its level by what link and processor leave room for.
enum class Compression : std::uint8_t { kNone, kZstd, kAuto };

struct Hello {
  static constexpr auto kKind = RequestKind::kHello;
  std::uint16_t protocol_version = 0;
  std::uint16_t role = 0;  // 0: control; 1 .. kStreamsMax: number of the stream
  Token token{};           // all zero on the control connection of a new clone
  std::int32_t backend_pid = 0;  // PQbackendPID(): a pooler in between shows here
  Text helper_version;
  static void fields(auto& field, auto& m) {
    field(m.protocol_version, m.role, m.token, m.backend_pid, m.helper_version);
  }
};

// Before a used directory is touched: the helper has put a file "pg_standby_clone.probe.NAME"
// into each directory it is about to write to. A donor that finds one under its own paths is
// the server of that directory. Answered by ProbeResult.
struct Probe {
  static constexpr auto kKind = RequestKind::kProbe;
  Text name;  // lower-case hexadecimal digits
  static void fields(auto& field, auto& m) { field(m.name); }
};

// What decides how a used directory is brought up to date. Before Begin; answered by SurveyResult.
struct Survey {
  static constexpr auto kKind = RequestKind::kSurvey;
  Lsn since = 0;  // the directory has everything up to here
  static void fields(auto& field, auto& m) { field(m.since); }
};

// The XXH3-128 (canonical form) of the WAL of [from, to), page headers included, as the donor has it:
// whether two servers wrote one history. At most kWalHashMax bytes. Before Begin; answered by WalHashResult.
struct WalHash {
  static constexpr auto kKind = RequestKind::kWalHash;
  Lsn from = 0, to = 0;
  std::uint64_t seed = 0;
  static void fields(auto& field, auto& m) { field(m.from, m.to, m.seed); }
};

struct Begin {
  static constexpr auto kKind = RequestKind::kBegin;
  std::int64_t request_id = 0;  // of request_standby_clone(), 0: none
  Text target;       // --name
  Text destination;  // host and directory, for people
  Text slot_name;    // empty: no permanent slot is made
  Text label;        // for backup_label
  std::uint8_t slot_given = 0;       // 1, by -S: it exists and is never dropped; 2, by -C: it is made, and must not exist
  std::uint8_t fast_checkpoint = 1;
  std::uint8_t verify_checksums = 1;
  std::uint8_t advance_slot = 1;     // 0 with -X none
  Compression compression = Compression::kNone;
  std::int8_t compression_level = 0;
  std::uint16_t streams = 1;
  std::uint64_t max_rate = 0;        // bytes per second on the wire, 0: no limit
  // PQbackendPID() of the connection that receives WAL; 0 with -X none. A WAL sender
  // with a frozen peer would hold up a shutdown: it ends with the clone.
  std::int32_t wal_sender_pid = 0;
  std::uint8_t gentle = 0;           // slow down while others suffer
  // Of the request: after a failover another may have its number. Empty where request_id is 0.
  Text request_uuid;
  // Nothing is copied and no backup begun: the standby replays the WAL from here on. 0: a clone.
  Lsn replay_from = 0;
  Method method = Method::kFull;  // kReplay where `replay_from` is given, and only there
  static void fields(auto& field, auto& m) {
    field(m.request_id, m.target, m.destination, m.slot_name, m.label, m.slot_given,
          m.fast_checkpoint, m.verify_checksums, m.advance_slot, m.compression,
          m.compression_level, m.streams, m.max_rate, m.wal_sender_pid, m.gentle, m.request_uuid,
          m.replay_from, m.method);
  }
};

// The helper was started again and would go on with the clone whose token it has said. Answered as Begin is; a clone
// whose backup is to end, or has, nobody can go on with: it ends with kHelperStartedAgain.
struct Inherit {
  static constexpr auto kKind = RequestKind::kInherit;
  static void fields(auto&, auto&) {}
};

// Asks for the whole list of files; answered by Entries frames and one ListEnd.
struct List {
  static constexpr auto kKind = RequestKind::kList;
  static void fields(auto&, auto&) {}
};

// Bytes [offset, offset + length) of one file, answered by Data frames in order
// and one RangeEnd. A shorter answer means the file ends there now (trap 19).
struct Read {
  static constexpr auto kKind = RequestKind::kRead;
  std::uint32_t tag = 0;  // the helper's own, comes back in each answer
  std::uint64_t offset = 0;
  std::uint32_t length = 0;  // at most kChunkSize
  Text path;                 // as it came in the list
  // Of the time of this stream lately, in percent: it waited for the donor. Where the donor's
  // bytes wait as well, the link is what holds up both.
  std::uint8_t waited = 0;
  static void fields(auto& field, auto& m) {
    field(m.tag, m.offset, m.length, m.path, m.waited);
  }
};

// `hashes` holds one XXH3-128 (canonical form, seeded with the clone's hash
// seed) per chunk, from `offset` (a multiple of kChunkSize) on. Answered by one
// Digest frame.
struct Compare {
  static constexpr auto kKind = RequestKind::kCompare;
  std::uint32_t tag = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // bytes the hashes stand for, the last chunk may be short
  Text path;
  Bytes hashes;
  static void fields(auto& field, auto& m) {
    field(m.tag, m.offset, m.length, m.path, m.hashes);
  }
};

// The XXH3-64 of each page (8 kB, the last one may be short) of at most one
// chunk. Answered by one PageDigest frame.
struct PageHashes {
  static constexpr auto kKind = RequestKind::kPageHashes;
  std::uint32_t tag = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Text path;
  static void fields(auto& field, auto& m) { field(m.tag, m.offset, m.length, m.path); }
};

// What the WAL of [since, start of the backup) changed, by the donor's WAL summaries. After the backup has
// started; answered by Changed frames and one ChangesEnd.
struct Changes {
  static constexpr auto kKind = RequestKind::kChanges;
  Lsn since = 0;
  std::uint64_t young_from = 0;  // the oldest transaction, with its epoch, that may have done anything since
  static void fields(auto& field, auto& m) { field(m.since, m.young_from); }
};

// Which pages of a relation's file the donor may have changed since `since`, by the position each
// carries: also those without one, which tell nothing. Answered by one NewerDigest.
struct NewerPages {
  static constexpr auto kKind = RequestKind::kNewerPages;
  std::uint32_t tag = 0;
  std::uint64_t offset = 0;   // a multiple of kChunkSize
  std::uint32_t length = 0;   // at most kNewerPagesMax
  Lsn since = 0;
  Text path;
  static void fields(auto& field, auto& m) {
    field(m.tag, m.offset, m.length, m.since, m.path);
  }
};

// Keeps the lease; every kHeartbeatIntervalMs and at each change of phase.
// Answered by a Status frame.
struct Heartbeat {
  static constexpr auto kKind = RequestKind::kHeartbeat;
  Phase phase = Phase::kPreparing;  // of the helper; never goes back
  Lsn durable_lsn = 0;              // WAL is fsynced up to here, 0: none yet
  std::uint64_t bytes_done = 0;     // data as it is on disk
  std::uint64_t bytes_total = 0;
  std::uint64_t files_done = 0;
  std::uint64_t files_total = 0;
  std::uint16_t tablespaces_done = 0;
  std::uint16_t tablespaces_total = 0;
  std::int32_t wal_sender_pid = 0;  // the server's process behind the WAL connection, 0: none now
  std::uint64_t bytes_kept = 0;     // of bytes_done: were there already
  Method method = Method::kFull;    // that of Begin; of kChanges it may turn out that it is kCompare
  static void fields(auto& field, auto& m) {
    field(m.phase, m.durable_lsn, m.bytes_done, m.bytes_total, m.files_done, m.files_total,
          m.tablespaces_done, m.tablespaces_total, m.wal_sender_pid, m.bytes_kept, m.method);
  }
};

// The helper has stopped asking because Status said paused.
struct PauseAck {
  static constexpr auto kKind = RequestKind::kPauseAck;
  static void fields(auto&, auto&) {}
};

// All files are read: stop the backup. Answered, when it has stopped, by Label.
struct End {
  static constexpr auto kKind = RequestKind::kEnd;
  static void fields(auto&, auto&) {}
};

// Label and WAL are durable at the helper: make the permanent slot. Answered, when
// it is there, by a Status with handed_over set.
struct AckLabel {
  static constexpr auto kKind = RequestKind::kAckLabel;
  static void fields(auto&, auto&) {}
};

// The error of a clone whose helper was started again and cannot go on in its session: a request that it
// carried out may be taken up by another.
inline constexpr char kHelperStartedAgain[] = "the helper was started again";

// How it ended, the last request. Answered by a last Status.
struct Outcome {
  static constexpr auto kKind = RequestKind::kOutcome;
  State state = State::kFailed;  // kCompleted, kFailed or kCancelled
  Text error;                    // empty when completed
  static void fields(auto& field, auto& m) { field(m.state, m.error); }
};

}  // namespace protocol
