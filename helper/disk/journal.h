// journal.h: the file in the target that says: this directory is a clone being made, this is
// what it consists of, and this much of it is durable. While it is there, the directory is
// ours, and no server has been started in it.
//
// After a line of magic it is a run of records, each with its length and CRC32C, only ever
// appended to: what a torn write left at its end is no record and is ignored. A record about
// data is written after that data is durable (disk/recorder.h). A run that goes on with it writes it anew
// first, without what was said twice or torn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "helper/disk/known_files.h"
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

struct Journal {
  std::vector<TakenDirectory> directories;  // the first is the data directory
  std::optional<SessionRecord> session;
  bool is_laid_out = false;    // of that session: all directories are there, what an earlier life left is gone
  bool is_committing = false;  // all is durable; pg_control has its name, or nearly
  KnownFiles files;  // of that session

  // Fails with kTargetRefused on anything that is not a journal of ours. What follows its last good record is
  // torn.
  static Journal parse(std::string_view bytes, const std::string& path);
  // From a file, in pieces: it may be larger than what memory there should be for it.
  enum class Parts { kAll, kAllButFiles };
  static Journal read(const std::string& path, Parts parts);
  static std::optional<Journal> read_if_there(const std::string& path, Parts parts);
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
  void laid_out();
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
  // Takes the place of any there is, whole or not at all; each fact is said once. Durable on return.
  static JournalFile create(const Tree& tree, const Journal& journal);

  // Durable on return (unless not syncing).
  void append(const JournalRecords& records);
  explicit operator bool() const { return static_cast<bool>(file_); }

 private:
  const Tree* tree_ = nullptr;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace standby_clone
