// journal.h: the file in the target that says: this directory is a clone being made, this is
// what it consists of, and this much of it is durable. While it is there, the directory is
// ours, and no server has been started in it.
//
// After a line of magic it is a run of records, each with its length and CRC32C, only ever
// appended to: what a torn write left at its end is no record and is ignored. A record about
// data is written after that data is durable (disk/recorder.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "helper/disk/tree.h"
#include "protocol/request.h"

namespace standby_clone {

inline constexpr char kJournalName[] = "pg_standby_clone.journal";

// How a directory was when it was taken; decides what may be removed again.
enum class Origin : std::uint8_t {
  kMade = 1,  // it was not there
  kEmpty,     // only its content is ours
  kFound,     // with a cluster in it, brought up to date in place: nothing is removed
};

struct TakenDirectory {
  std::string path;  // absolute; any bytes
  Origin origin = Origin::kMade;
  std::string link;  // what leads there: "" (the data directory), "pg_wal", "pg_tblspc/OID"
};

// Proves to the donor that we are the helper of a session it still has. Its token is a
// secret: the journal is readable by its owner alone.
struct SessionRecord {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  protocol::Lsn start_lsn = 0;  // 0: the backup had not started yet
  protocol::Token token{};
  std::uint64_t hash_seed = 0;
  std::string temporary_slot;
  std::int64_t id = 0;
  std::string begun_with;  // name, slot and what else the donor keeps to until the end

  bool operator==(const SessionRecord&) const = default;
};

struct ChunkRecord {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t crc = 0;  // CRC32C of these bytes
};

// A file of which something is durable.
struct KnownFile {
  bool is_complete = false;
  std::uint64_t size = 0;  // of a complete one, with the CRC of all of it
  std::uint32_t crc = 0;
  std::vector<ChunkRecord> chunks;  // of one that is not complete; in order of offset
};

struct Journal {
  std::vector<TakenDirectory> directories;  // the first is the data directory
  std::optional<SessionRecord> session;
  bool is_committing = false;  // all is durable; pg_control has its name, or nearly
  std::unordered_map<std::string, KnownFile> files;  // of that session
  std::uint64_t size = 0;  // of the good records; what follows them is torn

  // Fails with kTargetRefused on anything that is not a journal of ours.
  static Journal parse(std::string_view bytes, const std::string& path);
};

// Records, as they are appended. Files go by numbers that the caller gives out.
class JournalRecords {
 public:
  void directory(const TakenDirectory& directory);
  // What was known of files is void: it was of another session.
  void session(const SessionRecord& session);
  void file(std::uint32_t number, std::string_view path);
  void chunks(std::uint32_t number, const std::vector<ChunkRecord>& chunks);
  void complete(std::uint32_t number, std::uint64_t size, std::uint32_t crc);
  void forget(std::string_view path);  // it is about to be written anew
  void committing();

  const std::string& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  void clear() { bytes_.clear(); }

 private:
  template <class... F>
  void put(std::uint8_t kind, std::size_t room, const F&... fields);

  std::string bytes_;
};

// The file itself. One thread at a time.
class JournalFile {
 public:
  JournalFile() = default;
  // Takes the place of any there is, whole or not at all. Durable on return.
  static JournalFile create(const Tree& tree, const JournalRecords& records);
  // Goes on after the last good record.
  static JournalFile reopen(const Tree& tree, std::uint64_t size);

  // Durable on return (unless not syncing).
  void append(const JournalRecords& records);
  explicit operator bool() const { return static_cast<bool>(file_); }

 private:
  const Tree* tree_ = nullptr;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace standby_clone
