// journal.cpp: records to bytes and back, with the suspicion a file deserves that may have
// been half written, copied from elsewhere, or made by somebody else.
#include "helper/disk/journal.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <span>
#include <unistd.h>
#include <utility>

#include "helper/base/failure.h"
#include "protocol/crc32c.h"
#include "protocol/path.h"
#include "protocol/wire.h"

namespace standby_clone {
namespace {

constexpr std::string_view kMagic = "pg_standby_clone journal 1\n";

enum : std::uint8_t {
  kDirectory = 1,
  kSession,
  kFile,
  kChunks,
  kComplete,
  kForget,
  kCommitting,
  kLaidOut,
};

constexpr std::size_t kHeaderSize = 4 + 4;  // length of the payload, its CRC32C
constexpr std::size_t kChunkSize = 8 + 4 + 4;
// Chunks of one record: those of a relation segment fit.
constexpr std::size_t kChunksMax = 4096;
constexpr std::size_t kPayloadMax = 1 + 4 + kChunksMax * kChunkSize;
// Read and written at once.
constexpr std::size_t kPieceSize = 256 * 1024;
// Of a file: no cluster has as many.
constexpr std::uint32_t kNumberMax = 1 << 26;
constexpr std::uint32_t kUnnamed = UINT32_MAX;

std::span<std::byte> room_in(std::string& bytes, std::size_t at) {
  return std::as_writable_bytes(std::span(bytes)).subspan(at);
}

std::uint32_t crc_of(std::string_view bytes) { return protocol::crc32c(std::as_bytes(std::span(bytes))); }

// What a run of records says. False from take(): no journal of ours would say that.
class Interpreter {
 public:
  Interpreter(Journal& journal, Journal::Parts parts) : journal_(journal), parts_(parts) {}

  bool take(std::string_view payload) {
    protocol::Reader read(std::as_bytes(std::span(payload)));
    std::uint8_t kind = 0;
    read(kind);
    switch (kind) {
      case kDirectory: return directory(read);
      case kSession: return session(read);
      case kCommitting: journal_.is_committing = true; return read.good() && read.at_end();
      case kLaidOut: journal_.is_laid_out = true; return read.good() && read.at_end();
      default: break;
    }
    if (kind < kFile || kind > kForget) return false;
    if (parts_ == Journal::Parts::kAllButFiles) return true;
    switch (kind) {
      case kFile: return file(read);
      case kChunks: return chunks(read);
      case kComplete: return complete(read);
      default: return forget(read);
    }
  }

 private:
  bool directory(protocol::Reader& read) {
    protocol::LongText path;
    protocol::Text link;
    TakenDirectory taken;
    read(taken.origin, path, link);
    if (!read.good() || !read.at_end() || taken.origin < Origin::kMade || taken.origin > Origin::kFound)
      return false;
    taken.path = path.text;
    taken.link = link;
    // The root of the file system is nobody's data directory; from a relative path it would
    // depend on where we stand what is removed.
    if (!taken.path.starts_with('/') || taken.path == "/" ||
        taken.path.find('\0') != std::string::npos)
      return false;
    journal_.directories.push_back(std::move(taken));
    return true;
  }
  bool session(protocol::Reader& read) {
    SessionRecord session;
    protocol::Text slot, begun_with;
    read(session.system_identifier, session.timeline, session.start_lsn, session.token,
         session.hash_seed, slot, session.id, begun_with);
    if (!read.good() || !read.at_end()) return false;
    session.temporary_slot = slot;
    session.begun_with = begun_with;
    journal_.session = session;
    journal_.is_laid_out = journal_.is_committing = false;
    journal_.files = {};
    numbers_.clear();
    return true;
  }
  bool file(protocol::Reader& read) {
    std::uint32_t number = 0;
    protocol::LongText path;
    read(number, path);
    if (!read.good() || !read.at_end() || !protocol::is_clean_path(path.text) || number >= kNumberMax)
      return false;
    if (number >= numbers_.size()) numbers_.resize(number + 1, kUnnamed);
    numbers_[number] = journal_.files.number_of(path.text);
    return true;
  }
  bool chunks(protocol::Reader& read) {
    KnownFile* known = find(read);
    protocol::Bytes rest;
    read(rest);
    if (known == nullptr || !read.good() || rest.size() % kChunkSize != 0) return false;
    for (; !rest.empty(); rest = rest.subspan(kChunkSize)) {
      ChunkRecord chunk;
      protocol::Reader(rest.first(kChunkSize))(chunk.offset, chunk.length, chunk.crc);
      auto at = std::lower_bound(
          known->chunks.begin(), known->chunks.end(), chunk,
          [](const auto& left, const auto& right) { return left.offset < right.offset; });
      if (at != known->chunks.end() && at->offset == chunk.offset)
        *at = chunk;
      else
        known->chunks.insert(at, chunk);
    }
    return true;
  }
  bool complete(protocol::Reader& read) {
    KnownFile* known = find(read);
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    read(size, crc);
    if (known == nullptr || !read.good() || !read.at_end()) return false;
    *known = KnownFile{size, crc, true, {}};
    return true;
  }
  bool forget(protocol::Reader& read) {
    protocol::LongText path;
    read(path);
    if (!read.good() || !read.at_end()) return false;
    journal_.files.forget(path.text);
    return true;
  }
  KnownFile* find(protocol::Reader& read) {
    std::uint32_t number = 0;
    read(number);
    if (number >= numbers_.size() || numbers_[number] == kUnnamed) return nullptr;
    return &journal_.files[numbers_[number]];
  }

  Journal& journal_;
  const Journal::Parts parts_;
  std::vector<std::uint32_t> numbers_;  // in `files`, by those that the journal gives
};

// `more` adds to the bytes it is given, or says that there are none.
Journal interpret(const std::string& path, Journal::Parts parts, const std::function<bool(std::string&)>& more) {
  auto refuse = [&] {
    fail(Kind::kTargetRefused, "file \"" + path + "\" is not a journal of this pg_standby_clone",
         "If nothing in that directory is needed, empty it, then run the clone again.");
  };
  Journal journal;
  Interpreter interpreter(journal, parts);
  std::string piece;
  std::size_t at = 0;
  auto has = [&](std::size_t count) {
    while (piece.size() - at < count) {
      piece.erase(0, std::exchange(at, 0));
      if (!more(piece)) return false;
    }
    return true;
  };
  if (!has(kMagic.size()) || !piece.starts_with(kMagic)) refuse();
  at = kMagic.size();
  while (has(kHeaderSize)) {
    std::uint32_t length = 0, crc = 0;
    protocol::Reader(std::as_bytes(std::span(piece)).subspan(at, kHeaderSize))(length, crc);
    if (length == 0 || length > kPayloadMax || !has(kHeaderSize + length)) break;
    std::string_view payload = std::string_view(piece).substr(at + kHeaderSize, length);
    if (crc_of(payload) != crc) break;
    if (!interpreter.take(payload)) refuse();
    at += kHeaderSize + length;
  }
  // Its first records came with its name.
  if (journal.directories.empty()) refuse();
  return journal;
}

}  // namespace

Journal Journal::parse(std::string_view bytes, const std::string& path) {
  return interpret(path, Parts::kAll, [&](std::string& piece) {
    piece += bytes;
    return !std::exchange(bytes, {}).empty();
  });
}

std::optional<Journal> Journal::read_if_there(const std::string& path, Parts parts) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) fail_on_disk("open file", path, errno);
  return interpret(path, parts, [&](std::string& piece) {
    std::size_t kept = piece.size();
    piece.resize(kept + kPieceSize);
    ssize_t got;
    do got = ::read(file.get(), piece.data() + kept, kPieceSize);
    while (got < 0 && errno == EINTR);
    if (got < 0) fail_on_disk("read file", path, errno);
    piece.resize(kept + static_cast<std::size_t>(got));
    return got > 0;
  });
}

Journal Journal::read(const std::string& path, Parts parts) {
  auto journal = read_if_there(path, parts);
  if (!journal) fail_on_disk("open file", path, ENOENT);
  return std::move(*journal);
}

template <class... F>
void JournalRecords::put(std::uint8_t kind, std::size_t room, const F&... fields) {
  std::size_t at = bytes_.size();
  bytes_.resize(at + kHeaderSize + 1 + room);
  protocol::Writer payload(room_in(bytes_, at + kHeaderSize));
  payload(kind, fields...);
  std::size_t size = payload.size();
  if (size == 0 || size > kPayloadMax) fail(Kind::kInternal, "a record of the journal does not fit");
  bytes_.resize(at + kHeaderSize + size);
  protocol::Writer header(room_in(bytes_, at));
  header(static_cast<std::uint32_t>(size),
         crc_of(std::string_view(bytes_).substr(at + kHeaderSize)));
}

void JournalRecords::directory(const TakenDirectory& taken) {
  put(kDirectory, 7 + taken.path.size() + taken.link.size(), taken.origin,
      protocol::LongText{taken.path}, protocol::Text(taken.link));
}

void JournalRecords::session(const SessionRecord& session) {
  put(kSession, 64 + session.temporary_slot.size() + session.begun_with.size(),
      session.system_identifier, session.timeline, session.start_lsn, session.token,
      session.hash_seed, protocol::Text(session.temporary_slot), session.id,
      protocol::Text(session.begun_with));
}

void JournalRecords::file(std::uint32_t number, std::string_view path) {
  put(kFile, 8 + path.size(), number, protocol::LongText{path});
}

void JournalRecords::chunks(std::uint32_t number, const std::vector<ChunkRecord>& chunks) {
  for (std::size_t begin = 0; begin < chunks.size(); begin += kChunksMax) {
    std::size_t count = std::min(kChunksMax, chunks.size() - begin);
    std::string run(count * kChunkSize, '\0');
    protocol::Writer write(room_in(run, 0));
    for (std::size_t index = begin; index < begin + count; ++index)
      write(chunks[index].offset, chunks[index].length, chunks[index].crc);
    put(kChunks, 4 + run.size(), number, std::as_bytes(std::span(run)));
  }
}

void JournalRecords::complete(std::uint32_t number, std::uint64_t size, std::uint32_t crc) {
  put(kComplete, 16, number, size, crc);
}

void JournalRecords::forget(std::string_view path) {
  put(kForget, 4 + path.size(), protocol::LongText{path});
}

void JournalRecords::laid_out() { put(kLaidOut, 0); }

void JournalRecords::committing() { put(kCommitting, 0); }

JournalFile JournalFile::create(const Tree& tree, const Journal& journal) {
  const std::string fresh = std::string(kJournalName) + ".new";
  tree.remove_file(fresh);
  JournalFile made;
  made.tree_ = &tree;
  made.file_ = tree.open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!made.file_) fail_on_disk("create file", tree.shown(fresh), errno);
  auto write = [&](std::string_view bytes) {
    tree.write(made.file_.get(), std::as_bytes(std::span(bytes)), made.size_, fresh);
    made.size_ += bytes.size();
  };
  write(kMagic);
  JournalRecords records;
  for (const auto& taken : journal.directories) records.directory(taken);
  if (journal.session) records.session(*journal.session);
  if (journal.is_laid_out) records.laid_out();
  std::uint32_t number = 0;
  journal.files.for_each([&](std::string_view path, const KnownFile& known) {
    records.file(number, path);
    if (known.is_complete)
      records.complete(number, known.size, known.crc);
    else
      records.chunks(number, known.chunks);
    ++number;
    if (records.bytes().size() < kPieceSize) return;
    write(records.bytes());
    records.clear();
  });
  if (journal.is_committing) records.committing();
  write(records.bytes());
  tree.sync(made.file_.get(), fresh);
  tree.rename(fresh, kJournalName);
  tree.sync_directory("");
  return made;
}

void JournalFile::append(const JournalRecords& records) {
  tree_->write(file_.get(), std::as_bytes(std::span(records.bytes())), size_, kJournalName);
  size_ += records.bytes().size();
  tree_->sync(file_.get(), kJournalName);
}

}  // namespace standby_clone
