// frame.h: what a donor answers. One frame is one CopyData message. There is no
// frame for errors: those are ErrorResponse messages, with SQLSTATE and hint.
#pragma once

#include "limits.h"
#include "phase.h"
#include "request.h"
#include "wire.h"

namespace protocol {

enum class FrameKind : std::uint8_t {
  kWelcome = 1,
  kBegun,
  kEntries,
  kListEnd,
  kData,
  kRangeEnd,
  kDigest,
  kPageDigest,
  kStatus,
  kLabel,
  kProbeResult,
  kAlive,
  kSurveyResult,
  kWalHashResult,
  kChanged,
  kChangesEnd,
  kNewerDigest,
};

// Answers Hello.
struct Welcome {
  static constexpr auto kKind = FrameKind::kWelcome;
  std::uint16_t protocol_version = 0;
  Text extension_version;
  std::uint32_t server_version_num = 0;  // 150018
  std::int32_t backend_pid = 0;
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  std::uint8_t in_recovery = 0;
  std::uint32_t pg_control_version = 0;
  std::uint32_t catalog_version = 0;
  std::uint32_t block_size = 0;
  std::uint32_t segment_blocks = 0;    // blocks of one relation segment file
  std::uint32_t wal_segment_size = 0;
  std::uint32_t data_checksum_version = 0;
  std::uint16_t directory_mode = 0;    // 0700 or 0750: data_directory_mode
  std::uint16_t max_streams = 0;       // pg_standby_clone.max_streams
  std::uint32_t lease_ms = 0;          // pg_standby_clone.reconnect_timeout
  Text data_directory;
  Text cluster_name;
  Text external_files;  // configuration files outside the data directory, one a line
  static void fields(auto& field, auto& m) {
    field(m.protocol_version, m.extension_version, m.server_version_num, m.backend_pid,
          m.system_identifier, m.timeline, m.in_recovery, m.pg_control_version,
          m.catalog_version, m.block_size, m.segment_blocks, m.wal_segment_size,
          m.data_checksum_version, m.directory_mode, m.max_streams, m.lease_ms,
          m.data_directory, m.cluster_name, m.external_files);
  }
};

// Answers Probe.
struct ProbeResult {
  static constexpr auto kKind = FrameKind::kProbeResult;
  Text found;          // where, relative to the data directory; empty: nowhere
  Bytes control_file;  // the donor's pg_control as far as its fields go
  static void fields(auto& field, auto& m) { field(m.found, m.control_file); }
};

// Answers Survey.
struct SurveyResult {
  static constexpr auto kKind = FrameKind::kSurveyResult;
  Lsn flushed = 0;           // WAL is durable up to here; of a standby, replayed
  std::uint8_t has_wal = 0;  // all from `since` up to there
  std::uint32_t timeline = 0;
  LongText history;          // of that timeline: its history file
  Text custom_managers;      // resource managers of extensions, with commas
  static void fields(auto& field, auto& m) { field(m.flushed, m.has_wal, m.timeline, m.history, m.custom_managers); }
};

// Answers WalHash.
struct WalHashResult {
  static constexpr auto kKind = FrameKind::kWalHashResult;
  std::uint8_t is_there = 0;  // all of it
  std::array<std::byte, kChunkHashSize> hash{};
  static void fields(auto& field, auto& m) { field(m.is_there, m.hash); }
};

// Answers Begin, at once; the progress of the start is seen in Status.
struct Begun {
  static constexpr auto kKind = FrameKind::kBegun;
  Token token{};             // proves a stream's right to attach; in no log or view
  std::uint64_t hash_seed = 0;
  Text temporary_slot;       // the WAL connection checks with it that it reached this server
  static void fields(auto& field, auto& m) { field(m.token, m.hash_seed, m.temporary_slot); }
};

enum class EntryKind : std::uint8_t {
  kDirectory = 1,
  kFile,
  kRelationFile,    // a fork of a relation: whole pages, replay repairs torn ones
  kControlFile,     // global/pg_control: read last
  kTablespace,      // `path` is pg_tblspc/OID, `target` the directory it links to
  kInPlaceTablespace,
  kSkipped,         // a link or special file that does not travel (trap 32)
};

struct Entry {
  EntryKind kind = EntryKind::kFile;
  std::uint16_t mode = 0;     // permission bits
  std::uint64_t size = 0;     // bytes, of files
  std::int64_t modified = 0;  // seconds since 1970
  Text path;                  // relative to the data directory, '/' between names
  Text target;
  static void fields(auto& field, auto& m) {
    field(m.kind, m.mode, m.size, m.modified, m.path, m.target);
  }
};

// A batch of the list. `entries` is a run of encoded Entry, read with
// next_entry(). A directory always comes before what is in it.
struct Entries {
  static constexpr auto kKind = FrameKind::kEntries;
  Bytes entries;
  static void fields(auto& field, auto& m) { field(m.entries); }
};

struct ListEnd {
  static constexpr auto kKind = FrameKind::kListEnd;
  std::uint64_t entry_count = 0;
  std::uint64_t bytes_total = 0;
  static void fields(auto& field, auto& m) { field(m.entry_count, m.bytes_total); }
};

enum class Coding : std::uint8_t {
  kPlain,  // payload is the bytes
  kZstd,   // payload is one zstd frame
  kZero,   // no payload: all bytes are zero
};

// Part of the answer to Read. `payload` is what is left of the message.
struct Data {
  static constexpr auto kKind = FrameKind::kData;
  Coding coding = Coding::kPlain;
  std::uint32_t tag = 0;
  std::uint32_t plain_size = 0;  // 1 .. kFramePlainMax
  std::uint32_t crc = 0;         // CRC32C of the plain bytes
  std::uint64_t offset = 0;      // in the file
  Bytes payload;
  static void fields(auto& field, auto& m) {
    field(m.coding, m.tag, m.plain_size, m.crc, m.offset, m.payload);
  }
  // Bytes before the payload, the kind included.
  static constexpr std::size_t kHeaderSize = 1 + 1 + 4 + 4 + 4 + 8;
};

enum class RangeStatus : std::uint8_t {
  kRead,
  kGone,  // the file is not there any more (trap 17)
};

// Ends the answer to Read.
struct RangeEnd {
  static constexpr auto kKind = FrameKind::kRangeEnd;
  std::uint32_t tag = 0;
  RangeStatus status = RangeStatus::kRead;
  std::uint32_t length = 0;             // bytes really read, at most those asked for
  std::uint32_t checksum_failures = 0;  // pages whose checksum is wrong and stays so
  std::uint32_t first_bad_block = 0;    // within the relation
  static void fields(auto& field, auto& m) {
    field(m.tag, m.status, m.length, m.checksum_failures, m.first_bad_block);
  }
};

// Answers Compare: bit n (least significant first) is set where chunk n differs.
struct Digest {
  static constexpr auto kKind = FrameKind::kDigest;
  std::uint32_t tag = 0;
  RangeStatus status = RangeStatus::kRead;
  std::uint64_t file_size = 0;
  Bytes differs;
  static void fields(auto& field, auto& m) { field(m.tag, m.status, m.file_size, m.differs); }
};

// Answers PageHashes: kPageHashSize bytes a page, little-endian.
struct PageDigest {
  static constexpr auto kKind = FrameKind::kPageDigest;
  std::uint32_t tag = 0;
  RangeStatus status = RangeStatus::kRead;
  std::uint32_t length = 0;  // bytes read
  Bytes hashes;
  static void fields(auto& field, auto& m) { field(m.tag, m.status, m.length, m.hashes); }
};

// Part of the answer to Changes. `forks` is a run of encoded ChangedFork, read with next_fork(). A fork
// may come more than once: what holds is all that was said of it.
struct Changed {
  static constexpr auto kKind = FrameKind::kChanged;
  Bytes forks;
  static void fields(auto& field, auto& m) { field(m.forks); }
};

inline constexpr std::uint32_t kNoLimit = UINT32_MAX;

struct ChangedFork {
  std::uint32_t tablespace = 0, database = 0;
  std::uint32_t relation = 0;  // the number of its files; 0: all of that database in that tablespace
  std::uint8_t fork = 0;       // ForkNumber: main, fsm, vm, init
  std::uint32_t limit = kNoLimit;  // it was truncated to so many blocks: all from there on count as changed
  std::uint32_t range_count = 0;
  Bytes ranges;                // range_count times: first block, number of blocks (u32 each)
  static constexpr std::size_t kHeaderSize = 4 + 4 + 4 + 1 + 4 + 4;
  static constexpr std::size_t kRangeSize = 8;
  static void header(auto& field, auto& m) {
    field(m.tablespace, m.database, m.relation, m.fork, m.limit, m.range_count);
  }
};

// Ends the answer to Changes.
struct ChangesEnd {
  static constexpr auto kKind = FrameKind::kChangesEnd;
  std::uint8_t is_whole = 0;     // otherwise what came is worth nothing
  std::uint64_t fork_count = 0;  // that came
  Text reason;                   // why it is not whole
  std::uint8_t all_databases_young = 0;  // so many transactions are past that nothing can be said of any
  Bytes young_databases;         // u32 each: made or moved by a transaction from `young_from` on, it may be
  static void fields(auto& field, auto& m) {
    field(m.is_whole, m.fork_count, m.reason, m.all_databases_young, m.young_databases);
  }
};

// Answers NewerPages: bit n (least significant first) is set where page n may have changed, in pages of the
// donor's own block size.
struct NewerDigest {
  static constexpr auto kKind = FrameKind::kNewerDigest;
  std::uint32_t tag = 0;
  RangeStatus status = RangeStatus::kRead;
  std::uint32_t length = 0;        // bytes read
  std::uint8_t is_unreliable = 0;  // positions tell nothing: encrypted, or beyond where the donor's WAL ends
  Bytes newer;
  static void fields(auto& field, auto& m) {
    field(m.tag, m.status, m.length, m.is_unreliable, m.newer);
  }
};

// Answers nothing: a stream that owes an answer and waits on purpose (a pause, a rate, the rests of a
// gentle clone) or works for long without a result says so, every kAliveIntervalMs.
struct Alive {
  static constexpr auto kKind = FrameKind::kAlive;
  static void fields(auto&, auto&) {}
};

// Answers Heartbeat, and comes unasked on the control connection whenever one of
// its fields other than the counters changes.
struct Status {
  static constexpr auto kKind = FrameKind::kStatus;
  std::int64_t id = 0;  // 0 until the worker has taken one; negative on a standby
  State state = State::kRunning;
  Phase phase = Phase::kPreparing;
  std::uint8_t handed_over = 0;  // the permanent slot is there
  std::uint8_t lease_over = 0;   // it failed because no helper came back in time
  Lsn start_lsn = 0;             // valid from kCopying on
  std::uint32_t start_timeline = 0;
  std::uint64_t checksum_failures = 0;
  std::uint64_t wal_retained = 0;  // bytes held back by the slot
  std::uint64_t max_rate = 0;      // bytes per second, 0: no limit
  // From kStarting on, of the WAL sender that uses the clone's slot.
  std::uint8_t standby_streams = 0;
  Lsn standby_replayed = 0;        // as the standby reports it, 0: not yet
  // What bounds the streams, in percent of their time lately: the link, the donor's disk, its
  // processors. What is left they waited for the helper.
  std::uint8_t link_share = 0, disk_share = 0, cpu_share = 0;
  std::uint16_t spare_streams = 0;  // connections it can spare: half of those that are free
  Method method = Method::kFull;    // as Begin had it
  Text error;                      // why it failed or was cancelled
  static void fields(auto& field, auto& m) {
    field(m.id, m.state, m.phase, m.handed_over, m.lease_over, m.start_lsn, m.start_timeline,
          m.checksum_failures, m.wal_retained, m.max_rate, m.standby_streams, m.standby_replayed,
          m.link_share, m.disk_share, m.cpu_share, m.spare_streams, m.method,
          m.error);
  }
};

// Answers End.
struct Label {
  static constexpr auto kKind = FrameKind::kLabel;
  Lsn start_lsn = 0;
  std::uint32_t start_timeline = 0;
  Lsn stop_lsn = 0;
  std::uint32_t stop_timeline = 0;
  Text new_tablespaces;  // created while copying, not mapped (trap 34): a path a line
  LongText backup_label;  // to be written byte for byte (trap 10)
  static void fields(auto& field, auto& m) {
    field(m.start_lsn, m.start_timeline, m.stop_lsn, m.stop_timeline, m.new_tablespaces,
          m.backup_label);
  }
};

// Takes the next entry off `rest`. False at the end; on malformed bytes false with
// `rest` not empty.
inline bool next_entry(Bytes& rest, Entry& entry) {
  if (rest.empty()) return false;
  Reader reader(rest);
  Bytes after;
  Entry::fields(reader, entry);
  reader(after);
  if (!reader.good()) return false;
  rest = after;
  return true;
}

// Takes the next fork off `rest`, as next_entry() does.
inline bool next_fork(Bytes& rest, ChangedFork& fork) {
  if (rest.size() < ChangedFork::kHeaderSize) return false;
  Reader reader(rest.first(ChangedFork::kHeaderSize));
  ChangedFork::header(reader, fork);
  Bytes after = rest.subspan(ChangedFork::kHeaderSize);
  std::size_t size = std::size_t{fork.range_count} * ChangedFork::kRangeSize;
  if (after.size() < size) return false;
  fork.ranges = after.first(size);
  rest = after.subspan(size);
  return true;
}

}  // namespace protocol
