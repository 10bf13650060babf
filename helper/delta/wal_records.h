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

struct WalRecord {
  Lsn begin = 0;
  Lsn end = 0;  // where the next one may begin: a multiple of 8
  std::uint8_t resource_manager = 0;
  std::uint8_t info = 0;  // with the resource manager's four bits only
  std::span<const std::byte> main_data;  // until the next record is read

  // Does it carry the moment it was written (commit, abort, checkpoint, end of recovery)? Two servers
  // that went their own ways from one copy differ in it, whatever else is alike.
  bool carries_time() const;
  // Of a primary's checkpoint.
  bool is_checkpoint() const;
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
  bool has_page_ = false;
};

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
