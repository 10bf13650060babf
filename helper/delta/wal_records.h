// wal_records.h: the records in the WAL of a data directory, read without the server: enough of each to
// tell where it lies, when it was written and which blocks it names. The format is the same in
// PostgreSQL 15 to 19 (xlogrecord.h, xlog_internal.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "helper/base/history.h"

namespace standby_clone {

// A block that a record names.
struct WalBlock {
  std::uint32_t tablespace = 0, database = 0, relation = 0;
  std::uint8_t fork = 0;  // 0: the main one
  std::uint32_t block = 0;
  auto operator<=>(const WalBlock&) const = default;
};

struct WalRecord {
  Lsn begin = 0;
  Lsn end = 0;  // where the next one may begin: a multiple of 8
  std::uint32_t transaction = 0;  // that wrote it; 0: none
  std::uint8_t resource_manager = 0;
  std::uint8_t info = 0;  // with the resource manager's four bits only
  // Both until the next record is read.
  std::span<const std::byte> main_data;
  std::span<const WalBlock> blocks;

  // Does it carry the moment it was written (commit, abort, checkpoint, end of recovery)? Two servers
  // that went their own ways from one copy differ in it, whatever else is alike.
  bool carries_time() const;
  // Of a primary's checkpoint.
  bool is_checkpoint() const;
  // Did `transaction` end by it: true if it was committed, false if it was aborted.
  std::optional<bool> commits() const;
  // Is all that it did to relations in the blocks that it names, or known by how a transaction ended? Not so where a
  // server began, files were moved, or a prepared transaction ended.
  bool shows_in_blocks() const;
};

// What the segments of one pg_wal hold, of one history.
class WalDirectory {
 public:
  // `path` is absolute.
  WalDirectory(std::string path, const History& history, std::uint32_t segment_size,
               std::uint32_t page_size);

  std::uint32_t segment_size() const { return segment_size_; }
  std::uint32_t page_size() const { return page_size_; }

  // The page that begins at `at`; false if no segment has it. A recycled segment may hold another one.
  bool read_page(Lsn at, std::span<std::byte> page) const;
  // All bytes of [from, to), page headers included; false if some are not there.
  bool read(Lsn from, Lsn to, const std::function<void(std::span<const std::byte>)>& take) const;

 private:
  struct Segment;
  const Segment* segment_of(Lsn at) const;

  std::string path_;
  History history_;
  std::uint32_t segment_size_, page_size_;
  mutable std::shared_ptr<Segment> open_;  // the one read last
};

// One record after the other, each checked by its CRC and its link to the one before.
class WalRecords {
 public:
  // From the record that begins at `start`, or behind a page header there.
  WalRecords(const WalDirectory& directory, Lsn start);

  // None where valid WAL ends: at() is that place then.
  std::optional<WalRecord> next();
  Lsn at() const { return at_; }

 private:
  bool go_to_page(Lsn page);
  bool assemble(Lsn begin, std::uint32_t size, Lsn& end);

  const WalDirectory& directory_;
  Lsn at_;
  Lsn previous_ = 0;  // begin of the record before, 0: not known
  Lsn page_at_ = 0;
  std::vector<std::byte> page_, record_;
  std::vector<WalBlock> blocks_;
  bool has_page_ = false;
};

// Where the first record begins that begins in the segment of `at`; none if the pages up to it are not there.
std::optional<Lsn> first_record_in_segment(const WalDirectory& directory, Lsn at);

// Which bytes of the WAL show that two servers wrote one history up to `until`: from the youngest record
// that carries a time, and ends before or at `until`, on. None if the WAL from `redo` to `until` is not all
// there, or no record in it carries one.
struct Evidence {
  Lsn from = 0, to = 0;
};
std::optional<Evidence> evidence_up_to(Lsn until, const WalDirectory& directory, Lsn redo);

// Where the last valid record from `redo` on ends; `redo` itself if there is none.
Lsn end_of_valid_wal(const WalDirectory& directory, Lsn redo);

}  // namespace standby_clone
