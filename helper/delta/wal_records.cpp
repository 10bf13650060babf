// wal_records.cpp: pages, records, and what they prove.
#include "helper/delta/wal_records.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

static_assert(std::endian::native == std::endian::little);

// XLogPageHeaderData and XLogLongPageHeaderData.
constexpr std::size_t kPageInfoAt = 2, kPageAddressAt = 8, kPageRemainderAt = 16;
constexpr std::uint32_t kShortHeader = 24, kLongHeader = 40;
constexpr std::uint16_t kFirstIsContinuation = 0x1, kIsLong = 0x2, kFirstIsOverwrite = 0x8;

// XLogRecord.
constexpr std::uint32_t kRecordHeader = 24;
constexpr std::size_t kTransactionAt = 4, kPreviousAt = 8, kInfoAt = 16, kManagerAt = 17, kCrcAt = 20;
// XLogRecordMaxSize of PostgreSQL 16 and later; a length beyond it is no record's.
constexpr std::uint32_t kRecordMax = 1020 * 1024 * 1024;

// Headers of a record's parts.
constexpr std::uint8_t kMaxBlock = 32, kDataShort = 255, kDataLong = 254, kOrigin = 253, kTopXid = 252;
constexpr std::uint8_t kForkMask = 0x0F, kHasImage = 0x10, kSameRelation = 0x80;
constexpr std::uint8_t kImageHasHole = 0x01, kImageCompressed = 0x04 | 0x08 | 0x10;

// rmgrlist.h
constexpr std::uint8_t kXlog = 0, kTransaction = 1, kDatabase = 4, kTablespace = 5, kRelationMap = 7, kLogicalMessage = 21;
// pg_control.h: opcodes of the XLOG resource manager.
constexpr std::uint8_t kShutdownCheckpoint = 0x00, kOnlineCheckpoint = 0x10, kSwitch = 0x40,
                       kEndOfRecovery = 0x90, kNoOperation = 0x20, kNextOid = 0x30, kBackupEnd = 0x50,
                       kRestorePoint = 0x70, kImageForHint = 0xA0, kImage = 0xB0, kCheckpointRedo = 0xE0;
// xact.h: opcodes of the transaction manager, in bits 4 to 6.
constexpr std::uint8_t kTransactionMask = 0x70, kCommit = 0x00, kAbort = 0x20, kCommitPrepared = 0x30,
                       kAbortPrepared = 0x40, kAssignment = 0x50, kInvalidations = 0x60;

template <class Number>
Number number_at(std::span<const std::byte> bytes, std::size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return number;
}

std::uint32_t header_size(std::uint16_t info) { return info & kIsLong ? kLongHeader : kShortHeader; }

constexpr Lsn aligned(Lsn at) { return (at + 7) & ~Lsn{7}; }

// The last of a record's parts, behind the headers of all, which name the blocks; none if they make no sense.
std::optional<std::span<const std::byte>> main_data_of(std::span<const std::byte> record,
                                                       std::vector<WalBlock>& blocks) {
  blocks.clear();
  std::size_t at = kRecordHeader;
  std::size_t block_bytes = 0;
  auto has = [&](std::size_t size) { return at <= record.size() && record.size() - at >= size; };
  while (has(1)) {
    auto id = std::to_integer<std::uint8_t>(record[at]);
    std::size_t main_size = 0;
    if (id == kDataShort && has(2)) {
      main_size = std::to_integer<std::uint8_t>(record[at + 1]);
      at += 2;
    } else if (id == kDataLong && has(5)) {
      main_size = number_at<std::uint32_t>(record, at + 1);
      at += 5;
    } else if (id == kOrigin && has(3)) {
      at += 3;
      continue;
    } else if (id == kTopXid && has(5)) {
      at += 5;
      continue;
    } else if (id <= kMaxBlock && has(4)) {
      auto flags = std::to_integer<std::uint8_t>(record[at + 1]);
      block_bytes += number_at<std::uint16_t>(record, at + 2);
      at += 4;
      if (flags & kHasImage) {
        if (!has(5)) return std::nullopt;
        block_bytes += number_at<std::uint16_t>(record, at);
        auto image = std::to_integer<std::uint8_t>(record[at + 4]);
        at += 5 + (image & kImageHasHole && image & kImageCompressed ? 2 : 0);
      }
      bool is_same_relation = flags & kSameRelation;
      if (!has((is_same_relation ? 0 : 12) + 4) || (is_same_relation && blocks.empty())) return std::nullopt;
      WalBlock block = is_same_relation ? blocks.back() : WalBlock{};
      if (!is_same_relation) {
        block.tablespace = number_at<std::uint32_t>(record, at);
        block.database = number_at<std::uint32_t>(record, at + 4);
        block.relation = number_at<std::uint32_t>(record, at + 8);
        at += 12;
      }
      block.fork = flags & kForkMask;
      block.block = number_at<std::uint32_t>(record, at);
      at += 4;
      blocks.push_back(block);
      if (at + block_bytes == record.size()) return record.subspan(record.size());
      continue;
    } else {
      return std::nullopt;
    }
    if (at + block_bytes + main_size != record.size()) return std::nullopt;
    return record.subspan(record.size() - main_size);
  }
  return record.subspan(record.size());
}

}  // namespace

bool WalRecord::is_checkpoint() const {
  return resource_manager == kXlog && (info == kShutdownCheckpoint || info == kOnlineCheckpoint);
}

bool WalRecord::carries_time() const {
  if (resource_manager == kXlog) return is_checkpoint() || info == kEndOfRecovery;
  if (resource_manager != kTransaction) return false;
  std::uint8_t operation = info & kTransactionMask;
  return operation == kCommit || operation == kAbort || operation == kCommitPrepared ||
         operation == kAbortPrepared;
}

std::optional<bool> WalRecord::commits() const {
  if (resource_manager != kTransaction) return std::nullopt;
  std::uint8_t operation = info & kTransactionMask;
  if (operation != kCommit && operation != kAbort) return std::nullopt;
  return operation == kCommit;
}

bool WalRecord::shows_in_blocks() const {
  switch (resource_manager) {
    case kXlog:
      for (std::uint8_t plain : {kOnlineCheckpoint, kNoOperation, kNextOid, kSwitch, kBackupEnd, kRestorePoint,
                                 kImageForHint, kImage, kCheckpointRedo})
        if (info == plain) return true;
      return false;
    case kTransaction: {
      std::uint8_t operation = info & kTransactionMask;
      return commits() || operation == kAssignment || operation == kInvalidations;
    }
    case kDatabase:
    case kTablespace:
    case kRelationMap: return false;
    default: return resource_manager <= kLogicalMessage;
  }
}

// --- segments ---------------------------------------------------------------------------

struct WalDirectory::Segment {
  Lsn start;
  UniqueFd file;  // none: there is no such segment
};

WalDirectory::WalDirectory(std::string path, const History& history, std::uint32_t segment_size,
                           std::uint32_t page_size)
    : path_(std::move(path)), history_(history), segment_size_(segment_size), page_size_(page_size) {}

// A segment in which a timeline begins exists of both; the newer one has all of it, as recovery
// knows (XLogFileReadAnyTLI).
const WalDirectory::Segment* WalDirectory::segment_of(Lsn at) const {
  Lsn start = segment_start(at, segment_size_);
  if (open_ && open_->start == start) return open_->file ? open_.get() : nullptr;
  open_ = std::make_shared<Segment>(Segment{start, UniqueFd()});
  for (Timeline timeline : history_.newest_first()) {
    if (segment_start(*history_.begin_of(timeline), segment_size_) > start) continue;
    std::string name = path_ + "/" + wal_file_name(timeline, start, segment_size_);
    open_->file.reset(::open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (open_->file) return open_.get();
    if (errno != ENOENT) fail_on_disk("open WAL file", name, errno);
  }
  return nullptr;
}

bool WalDirectory::read_page(Lsn at, std::span<std::byte> page) const {
  const Segment* segment = segment_of(at);
  if (segment == nullptr) return false;
  std::size_t got = 0;
  while (got < page.size()) {
    ssize_t count = pread(segment->file.get(), page.data() + got, page.size() - got,
                          static_cast<off_t>(at - segment->start + got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail_on_disk("read WAL file", path_ + "/" + wal_file_name(history_.timeline_at(at), at, segment_size_), errno);
    if (count == 0) return false;
    got += static_cast<std::size_t>(count);
  }
  return true;
}

bool WalDirectory::read(Lsn from, Lsn to, const std::function<void(std::span<const std::byte>)>& take) const {
  std::vector<std::byte> page(page_size_);
  for (Lsn at = from - from % page_size_; at < to; at += page_size_) {
    if (!read_page(at, page)) return false;
    std::size_t begin = from > at ? from - at : 0;
    std::size_t end = std::min<Lsn>(page_size_, to - at);
    take(std::span(page).subspan(begin, end - begin));
  }
  return true;
}

// --- records ------------------------------------------------------------------------------

WalRecords::WalRecords(const WalDirectory& directory, Lsn start)
    : directory_(directory), at_(start), page_(directory.page_size()) {}

bool WalRecords::go_to_page(Lsn page) {
  if (has_page_ && page_at_ == page) return true;
  page_at_ = page;
  has_page_ = directory_.read_page(page, page_);
  if (!has_page_) return false;
  // Of a recycled segment it says where it was written for.
  has_page_ = number_at<std::uint64_t>(page_, kPageAddressAt) == page;
  return has_page_;
}

// Collects a record of `size` bytes that begins at `begin`, past the headers of the pages it lies on. False
// where it is not whole; `end` is then where to look for the next, or 0.
bool WalRecords::assemble(Lsn begin, std::uint32_t size, Lsn& end) {
  std::uint32_t page_size = directory_.page_size();
  record_.clear();
  Lsn at = begin;
  end = 0;
  while (true) {
    if (!go_to_page(at - at % page_size)) return false;
    std::size_t within = at % page_size;
    if (within == 0) {
      auto info = number_at<std::uint16_t>(page_, kPageInfoAt);
      within = header_size(info);
      if (info & kFirstIsOverwrite) {
        // What was begun here was never finished: the server that came up wrote on behind it.
        end = at;
        return false;
      }
      if (!(info & kFirstIsContinuation) ||
          number_at<std::uint32_t>(page_, kPageRemainderAt) != size - record_.size())
        return false;
    }
    std::size_t part = std::min<std::size_t>(page_size - within, size - record_.size());
    record_.insert(record_.end(), page_.begin() + within, page_.begin() + within + part);
    at = page_at_ + within + part;
    if (record_.size() == size) {
      end = aligned(at);
      return true;
    }
  }
}

std::optional<WalRecord> WalRecords::next() {
  std::uint32_t page_size = directory_.page_size();
  while (true) {
    if (!go_to_page(at_ - at_ % page_size)) return std::nullopt;
    Lsn begin = at_;
    if (begin % page_size == 0) begin += header_size(number_at<std::uint16_t>(page_, kPageInfoAt));
    auto size = number_at<std::uint32_t>(page_, begin % page_size);
    if (size < kRecordHeader || size > kRecordMax) return std::nullopt;
    Lsn end = 0;
    if (!assemble(begin, size, end)) {
      if (end == 0) return std::nullopt;
      at_ = end;
      continue;
    }
    std::span<const std::byte> bytes(record_);
    std::uint32_t crc = protocol::crc32c(bytes.subspan(kRecordHeader));
    crc = protocol::crc32c_combine(crc, protocol::crc32c(bytes.first(kCrcAt)), kCrcAt);
    auto previous = number_at<std::uint64_t>(bytes, kPreviousAt);
    if (crc != number_at<std::uint32_t>(bytes, kCrcAt) || previous >= begin ||
        (previous_ != 0 && previous != previous_))
      return std::nullopt;
    auto main_data = main_data_of(bytes, blocks_);
    if (!main_data) return std::nullopt;
    WalRecord record;
    record.begin = begin;
    record.transaction = number_at<std::uint32_t>(bytes, kTransactionAt);
    record.resource_manager = number_at<std::uint8_t>(bytes, kManagerAt);
    record.info = number_at<std::uint8_t>(bytes, kInfoAt) & 0xF0;
    record.main_data = *main_data;
    record.blocks = blocks_;
    // Behind a switch the rest of its segment is empty.
    if (record.resource_manager == kXlog && record.info == kSwitch)
      end = segment_start(end + directory_.segment_size() - 1, directory_.segment_size());
    record.end = end;
    previous_ = begin;
    at_ = end;
    return record;
  }
}

std::optional<Lsn> first_record_in_segment(const WalDirectory& directory, Lsn at) {
  const Lsn start = segment_start(at, directory.segment_size());
  std::vector<std::byte> page(directory.page_size());
  // Each page says how much of the record that began before it is yet to come.
  for (Lsn where = start; where < start + directory.segment_size(); where += page.size()) {
    if (!directory.read_page(where, page) || number_at<std::uint64_t>(page, kPageAddressAt) != where)
      return std::nullopt;
    auto info = number_at<std::uint16_t>(page, kPageInfoAt);
    if (!(info & kFirstIsContinuation)) return where;
    auto remainder = number_at<std::uint32_t>(page, kPageRemainderAt);
    if (remainder <= page.size() - header_size(info)) return aligned(where + header_size(info) + remainder);
  }
  return std::nullopt;
}

// --- what they prove ------------------------------------------------------------------------

std::optional<Evidence> evidence_up_to(Lsn until, const WalDirectory& directory, Lsn redo) {
  WalRecords records(directory, redo);
  Evidence evidence;
  while (records.at() < until) {
    auto record = records.next();
    if (!record) return std::nullopt;
    if (record->carries_time() && record->end <= until) evidence.from = record->begin;
    evidence.to = record->end;
  }
  if (evidence.from == 0) return std::nullopt;
  return evidence;
}

Lsn end_of_valid_wal(const WalDirectory& directory, Lsn redo) {
  WalRecords records(directory, redo);
  Lsn end = redo;
  while (auto record = records.next()) end = record->end;
  return end;
}

}  // namespace standby_clone
