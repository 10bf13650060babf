// stream.cpp: the way of a byte from the connection's buffer to the file: one copy, checked on
// the way, into an aligned chunk; one write.
#include "helper/stream/stream.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <set>
#include <zstd.h>

#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

using protocol::Coding;
using protocol::Data;
using protocol::Digest;
using protocol::PageDigest;
using protocol::RangeEnd;
using protocol::RangeStatus;

// Of a chunk that differs in so much of it, the whole is read: fewer requests.
constexpr std::uint32_t kWholeFrom = protocol::kChunkSize / 4 * 3;

// So many pieces are compared ahead: enough that neither side waits for the other.
constexpr std::size_t kComparesOutstandingMax = 3;

// Bytes of a request beside path and hashes: numbers, and the header of its message.
constexpr std::uint32_t kRequestOverhead = 24;

[[noreturn]] void distrust(const std::string& why) {
  fail(Kind::kCorrupted, "the donor's answer cannot be trusted: " + why,
       "Check the network between the hosts, and that both run the same pg_standby_clone.");
}

bool is_gone_by(RangeStatus status) {
  if (status != RangeStatus::kRead && status != RangeStatus::kGone) distrust("an end that does not fit its data");
  return status == RangeStatus::kGone;
}

template <class Frame>
Frame decode_or_distrust(const Message& message) {
  Frame frame;
  if (!protocol::decode(message.bytes(), frame)) distrust("a frame is malformed");
  return frame;
}

}  // namespace

Stream::Stream(std::unique_ptr<Connection> connection, CopyJob& job)
    : connection_(std::move(connection)),
      job_(job),
      chunk_bytes_(protocol::kChunkSize),
      expanded_(protocol::kFramePlainMax),
      zstd_(ZSTD_createDCtx(), ZSTD_freeDCtx),
      silence_(job.receive_timeout) {
  if (!zstd_) throw std::bad_alloc();
  connection_->pass_by_libpq();
  if (job_.compares) local_bytes_.emplace(protocol::kChunkSize);
}

Stream::~Stream() = default;

void Stream::run() {
  charged_until_ = std::chrono::steady_clock::now();
  while (!job_.stop.requested()) {
    bool is_paused = job_.is_paused != nullptr && *job_.is_paused;
    bool asked = !is_paused && ask_for_more();
    if (pending_.empty() && !asked && !is_paused) return;
    // All that has come is taken before libpq reads more: it doubles its buffer and never
    // shrinks it. But the donor shall always have something to do.
    bool took = false;
    while (!is_running_low() || !took) {
      auto message = connection_->receive();
      if (!message) break;
      handle(*message);
      took = true;
    }
    if (connection_->copy_ended()) distrust("it ended a stream before all was sent");
    if (took) {
      heard_ = std::chrono::steady_clock::now();
      continue;
    }
    charge(job_.counters.computing_us);
    wait(pending_.empty() ? "" : path_of(pending_.front().file));
    charge(job_.counters.waiting_us);
  }
}

// Half of what may be asked for is used up: time to ask for more. Not at each answer, so that
// requests for small files go together.
bool Stream::is_running_low() const {
  return plain_outstanding_ < protocol::kOutstandingPlainMax / 2 &&
         requests_outstanding_ < protocol::kOutstandingRequestMax / 2;
}

void Stream::wait(std::string_view owed) {
  constexpr std::chrono::milliseconds kTurn{1000};
  auto began = std::chrono::steady_clock::now();
  bool came = connection_->wait(static_cast<int>(kTurn.count()));
  auto now = std::chrono::steady_clock::now();
  // A byte will do: on a slow link a whole message may take longer.
  if (came || owed.empty()) silence_.end();
  if (came) return;
  // All are silent where the donor is: then the control connection finds that out.
  if (!owed.empty() && job_.donor_answers && job_.donor_answers()) silence_.waited(now - began, kTurn);
  if (silence_.is_too_long()) {
    if (job_.on_silence) job_.on_silence(owed);
    fail(Kind::kLostDonor,
         fmt::format("nothing came of file \"{}\" for {} s, though the donor answers elsewhere", owed,
                     job_.receive_timeout.count() / 1000),
         "Look at what that process of the donor waits for, and at the network between the hosts.");
  }
  bool others_fell_silent = job_.donor_fell_silent_after && job_.donor_fell_silent_after(heard_);
  if (others_fell_silent && now - heard_ > std::chrono::milliseconds(protocol::kSilenceMs))
    fail(Kind::kLostDonor,
         fmt::format("nothing was heard from the donor for {} s", protocol::kSilenceMs / 1000),
         "Check the network between the hosts.");
}

void Stream::give_back() {
  std::set<const Patch*> patches;
  for (const auto* asks : {&pending_, &asks_}) {
    for (const Ask& ask : *asks) {
      if (!ask.patch)
        job_.plan.give_back({ask.file, ask.offset, ask.length});
      else if (patches.insert(ask.patch.get()).second)
        give_back(ask.file, *ask.patch);
    }
  }
  pending_.clear();
  asks_.clear();
  job_.counters.bytes_done.fetch_sub(chunk_.received, std::memory_order_relaxed);
  chunk_ = {};
}

// Some of its pages may have been written: the whole chunk is looked at again.
void Stream::give_back(std::uint32_t file, const Patch& patch) {
  job_.counters.bytes_done.fetch_sub(patch.read_bytes, std::memory_order_relaxed);
  std::uint64_t length =
      std::min<std::uint64_t>(protocol::kChunkSize, file_of(file).size - patch.offset);
  job_.plan.give_back({file, patch.offset, length});
}

// The time since it was called last goes to this account.
void Stream::charge(std::atomic<std::uint64_t>& account) {
  auto now = std::chrono::steady_clock::now();
  auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - charged_until_);
  auto us = static_cast<std::uint64_t>(passed.count());
  account.fetch_add(us, std::memory_order_relaxed);
  charged_until_ = now;
  lately_us_ += us;
  if (&account == &job_.counters.waiting_us) waited_lately_us_ += us;
  constexpr std::uint64_t kLatelyUs = 200000;
  if (lately_us_ > kLatelyUs) {
    lately_us_ /= 2;
    waited_lately_us_ /= 2;
  }
}

std::uint8_t Stream::waited_percent() const {
  // At first it waits for the first answer.
  return lately_us_ == 0 ? 100 : static_cast<std::uint8_t>(waited_lately_us_ * 100 / lately_us_);
}

// Asks for chunks up to the limits. True if something was asked for.
bool Stream::ask_for_more() {
  bool asked = false;
  while (plain_outstanding_ < protocol::kOutstandingPlainMax &&
         requests_outstanding_ < protocol::kOutstandingRequestMax &&
         (!asks_.empty() || take_piece())) {
    // The piece was the donor's already: so may all be that are left.
    if (asks_.empty()) {
      if (job_.stop.requested()) break;
      continue;
    }
    // Not taken off before it is on its way: what a broken connection leaves is given back.
    queue(asks_.front());
    pending_.push_back(std::move(asks_.front()));
    asks_.pop_front();
    asked = true;
    // While the next one is hashed the donor works on this one.
    if (job_.compares) connection_->flush();
  }
  // Those for small files go together: a packet for each costs as much as its answer.
  if (asked) connection_->flush();
  return asked;
}

// Makes requests of the next piece. False if there is none, or none now.
bool Stream::take_piece() {
  if (compares_outstanding_ >= kComparesOutstandingMax) return false;
  auto piece = job_.plan.next();
  if (!piece) return false;
  const FileWay* way = job_.ways == nullptr ? nullptr : &job_.ways->of(piece->file);
  // An empty piece asks whether the file is still there.
  if (!job_.compares || piece->length == 0)
    ask_to_read(*piece);
  else if (way != nullptr && way->way == Way::kListed)
    ask_for_blocks(*piece, way->blocks);
  else if (way != nullptr && way->way == Way::kNewer)
    ask_what_is_newer(*piece);
  else
    ask_to_compare(*piece);
  return true;
}

void Stream::ask_to_read(const Piece& piece) {
  std::uint64_t at = 0;
  do {
    Ask ask;
    ask.file = piece.file;
    ask.offset = piece.offset + at;
    ask.length = std::min<std::uint64_t>(piece.length - at, protocol::kChunkSize);
    asks_.push_back(std::move(ask));
    at += protocol::kChunkSize;
  } while (at < piece.length);
}

// What is here of the piece in whole chunks is compared; where a relation ends within a chunk,
// its pages are; the rest is read. Other files are read whole or not at all.
void Stream::ask_to_compare(const Piece& piece) {
  auto local = job_.files.open_local(piece.file);
  if (!local || piece.length == 0) return ask_to_read(piece);
  Ask ask;
  ask.kind = AskKind::kCompare;
  ask.file = piece.file;
  ask.offset = piece.offset;
  ask.chunks = hash_chunks(*local, piece, job_.hash_seed, {local_bytes_->data(), protocol::kChunkSize});
  for (const auto& chunk : ask.chunks) ask.length += chunk.length;
  Piece rest{piece.file, piece.offset + ask.length, piece.length - ask.length};
  bool is_relation = file_of(piece.file).is_relation;
  if (rest.length > 0 && !is_relation) return ask_to_read(piece);
  if (!ask.chunks.empty()) asks_.push_back(std::move(ask));
  if (rest.length > 0 && local->size() > rest.offset) {
    Ask pages;
    pages.kind = AskKind::kPageHashes;
    pages.file = rest.file;
    pages.offset = rest.offset;
    pages.length = std::min<std::uint64_t>(rest.length, protocol::kChunkSize);
    rest.offset += pages.length;
    rest.length -= pages.length;
    asks_.push_back(std::move(pages));
  }
  if (rest.length > 0) ask_to_read(rest);
}

// What the donor finds comes, and what is not here: that it need not look at.
void Stream::ask_what_is_newer(const Piece& piece) {
  static_assert(kPieceSize <= protocol::kNewerPagesMax);
  if (job_.ways->of(piece.file).here <= piece.offset) return ask_to_read(piece);
  Ask ask;
  ask.kind = AskKind::kNewerPages;
  ask.file = piece.file;
  ask.offset = piece.offset;
  ask.length = piece.length;
  asks_.push_back(std::move(ask));
}

// Of the piece these blocks, numbered within the file, and what is not here.
void Stream::ask_for_blocks(const Piece& piece, const BlockSet& blocks) {
  std::uint64_t here = job_.ways->of(piece.file).here;
  for (std::uint64_t at = 0; at < piece.length; at += protocol::kChunkSize) {
    Patch patch;
    patch.offset = piece.offset + at;
    patch.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(piece.length - at, protocol::kChunkSize));
    patch.is_read_again = false;
    auto ranges = pages_to_fetch(blocks, here, job_.ways->block_size, patch.offset, patch.length);
    if (ranges.empty())
      keep(piece.file, {.offset = patch.offset, .length = patch.length, .is_unread = true});
    else
      ask_for_pages(piece.file, std::move(patch), ranges);
  }
}

// Of a chunk; where that is most of it, the whole.
void Stream::ask_for_pages(std::uint32_t file, Patch&& patch, const std::vector<PageRange>& ranges) {
  std::uint32_t wanted = 0;
  for (const auto& range : ranges) wanted += range.length;
  if (wanted >= std::min(kWholeFrom, patch.length)) return ask_to_read({file, patch.offset, patch.length});
  auto shared = std::make_shared<Patch>(std::move(patch));
  shared->reads_left = ranges.size();
  for (const auto& range : ranges) {
    Ask read;
    read.file = file;
    read.offset = shared->offset + range.at;
    read.length = range.length;
    read.patch = shared;
    asks_.push_back(std::move(read));
  }
}

void Stream::queue(Ask& ask) {
  std::string_view path = path_of(ask.file);
  auto length = static_cast<std::uint32_t>(ask.length);
  ask.tag = next_tag_++;
  ask.request_size = static_cast<std::uint32_t>(path.size()) + kRequestOverhead;
  switch (ask.kind) {
    case AskKind::kRead:
      connection_->queue_request(protocol::Read{ask.tag, ask.offset, length, path, waited_percent()});
      plain_outstanding_ += length;
      break;
    case AskKind::kCompare: {
      std::vector<std::byte> hashes;
      for (const auto& chunk : ask.chunks)
        hashes.insert(hashes.end(), chunk.hash.begin(), chunk.hash.end());
      connection_->queue_request(
          protocol::Compare{ask.tag, ask.offset, ask.length, path, protocol::Bytes(hashes)});
      ask.request_size += static_cast<std::uint32_t>(hashes.size());
      ++compares_outstanding_;
      break;
    }
    case AskKind::kPageHashes:
      connection_->queue_request(protocol::PageHashes{ask.tag, ask.offset, length, path});
      break;
    case AskKind::kNewerPages:
      connection_->queue_request(protocol::NewerPages{ask.tag, ask.offset, length, job_.ways->since, path});
      ++compares_outstanding_;
      break;
  }
  requests_outstanding_ += ask.request_size;
  job_.counters.bytes_wire += ask.request_size;
}

void Stream::handle(const Message& message) {
  job_.counters.bytes_wire.fetch_add(message.bytes().size() + 5, std::memory_order_relaxed);
  switch (protocol::kind_of<protocol::FrameKind>(message.bytes())) {
    case protocol::FrameKind::kData: return take_data(decode_or_distrust<Data>(message));
    case protocol::FrameKind::kRangeEnd: return take_end(decode_or_distrust<RangeEnd>(message));
    case protocol::FrameKind::kDigest: return take_digest(decode_or_distrust<Digest>(message));
    case protocol::FrameKind::kPageDigest:
      return take_page_digest(decode_or_distrust<PageDigest>(message));
    case protocol::FrameKind::kNewerDigest:
      return take_newer_digest(decode_or_distrust<protocol::NewerDigest>(message));
    case protocol::FrameKind::kAlive:
      decode_or_distrust<protocol::Alive>(message);
      return;
    default: distrust("a frame of unknown kind");
  }
}

void Stream::take_data(const Data& data) {
  if (pending_.empty() || data.tag != pending_.front().tag ||
      pending_.front().kind != AskKind::kRead)
    distrust("data nobody asked for");
  const Ask& asked = pending_.front();
  if (data.offset != asked.offset + chunk_.received || data.plain_size == 0 ||
      data.plain_size > protocol::kFramePlainMax ||
      data.plain_size > asked.length - chunk_.received)
    distrust("data out of order");
  std::byte* to = chunk_bytes_.data() + chunk_.received;
  std::uint32_t crc = 0;
  switch (data.coding) {
    case Coding::kPlain:
      if (data.payload.size() != data.plain_size) distrust("a frame of another size than it says");
      crc = protocol::copy_with_crc32c(to, data.payload);
      chunk_.has_content = true;
      break;
    case Coding::kZstd:
      crc = expand(data, to);
      chunk_.has_content = true;
      break;
    case Coding::kZero:
      if (!data.payload.empty()) distrust("zeros with content");
      std::memset(to, 0, data.plain_size);
      crc = protocol::crc32c_add_zeros(0, data.plain_size);
      break;
    default:
      distrust("an unknown coding");
  }
  if (crc != data.crc)
    fail(Kind::kCorrupted,
         fmt::format("data of file \"{}\" at offset {} was altered on its way",
                     path_of(asked.file), data.offset),
         "Check the network between the hosts; then run the clone again.");
  chunk_.crc = protocol::crc32c_combine(chunk_.crc, crc, data.plain_size);
  chunk_.received += data.plain_size;
  job_.counters.bytes_done.fetch_add(data.plain_size, std::memory_order_relaxed);
}

std::uint32_t Stream::expand(const Data& data, std::byte* to) {
  std::size_t size = ZSTD_decompressDCtx(zstd_.get(), to, data.plain_size, data.payload.data(),
                                         data.payload.size());
  if (ZSTD_isError(size) || size != data.plain_size) distrust("a frame that cannot be expanded");
  return protocol::crc32c({to, data.plain_size});
}

// The request whose answer has come to its end.
Stream::Ask Stream::take_pending(AskKind kind, std::uint32_t tag) {
  if (pending_.empty() || tag != pending_.front().tag || kind != pending_.front().kind)
    distrust("an end nobody asked for");
  Ask asked = std::move(pending_.front());
  pending_.pop_front();
  requests_outstanding_ -= asked.request_size;
  return asked;
}

void Stream::take_end(const RangeEnd& end) {
  Ask asked = take_pending(AskKind::kRead, end.tag);
  bool is_gone = is_gone_by(end.status);
  bool is_bad = end.checksum_failures > 0;
  if (end.length != chunk_.received) distrust("an end that does not fit its data");
  plain_outstanding_ -= static_cast<std::uint32_t>(asked.length);
  // New files read as zeros where nothing was written: a chunk of zeros stays a hole. Pages
  // whose checksum is wrong are not written: a later run would find them equal, and not
  // look at them again.
  charge(job_.counters.computing_us);
  bool has_to_write = chunk_.has_content || (chunk_.received > 0 && !job_.files.holds_zeros(asked.file));
  if (has_to_write && !is_bad)
    job_.files.write(asked.file, asked.offset, {chunk_bytes_.data(), chunk_.received});
  if (is_bad)
    job_.report_bad_pages(std::string(path_of(asked.file)), end.checksum_failures,
                          end.first_bad_block);
  if (asked.patch) {
    Patch& patch = *asked.patch;
    patch.is_gone = patch.is_gone || is_gone;
    patch.is_bad = patch.is_bad || is_bad;
    patch.read_bytes += chunk_.received;
    patch.reads.push_back({asked.offset - patch.offset, chunk_.received, chunk_.crc});
    // Cut short since its pages were hashed.
    if (chunk_.received < asked.length)
      patch.length = std::min(
          patch.length, static_cast<std::uint32_t>(asked.offset - patch.offset) + chunk_.received);
    if (--patch.reads_left == 0) patch_done(asked.file, patch);
  } else {
    job_.files.chunk_done(asked.file, {asked.offset, chunk_.received, chunk_.crc, is_gone, is_bad});
  }
  charge(job_.counters.writing_us);
  chunk_ = {};
  has_taken_a_chunk_ = true;
}

// Of a chunk of which pages came: its CRC is that of what is on disk now.
void Stream::patch_done(std::uint32_t file, const Patch& patch) {
  if (patch.is_gone || patch.is_bad)
    return job_.files.chunk_done(file, {patch.offset, patch.read_bytes, 0, patch.is_gone, patch.is_bad});
  std::uint64_t kept = patch.length - std::min(patch.length, patch.read_bytes);
  job_.counters.bytes_done += kept;
  job_.counters.bytes_kept += kept;
  ChunkResult result{.offset = patch.offset, .length = patch.length, .is_unread = !patch.is_read_again, .is_kept = kept > 0};
  if (result.is_unread) return job_.files.chunk_done(file, result);
  auto bytes = read_local(file, patch.offset, patch.length);
  if (bytes.size() < patch.length)
    fail(Kind::kInternal, fmt::format("file \"{}\" is shorter than it was a moment ago", path_of(file)));
  // The CRC of the whole says what is here; that it is what was sent, those of the parts.
  for (const auto& read : patch.reads) {
    if (read.offset + read.length > bytes.size()) continue;  // it was cut shorter meanwhile
    if (protocol::crc32c(bytes.subspan(read.offset, read.length)) != read.crc)
      fail(Kind::kDisk,
           fmt::format("what was written to file \"{}\" at offset {} reads otherwise",
                       path_of(file), patch.offset + read.offset),
           "Look into the system's log for trouble with that disk.");
  }
  result.crc = protocol::crc32c(bytes);
  job_.files.chunk_done(file, result);
}

// A chunk that is the donor's already.
void Stream::keep(std::uint32_t file, ChunkResult result) {
  job_.counters.bytes_done += result.length;
  job_.counters.bytes_kept += result.length;
  result.is_kept = result.length > 0;
  job_.files.chunk_done(file, result);
}

std::span<const std::byte> Stream::read_local(std::uint32_t file, std::uint64_t offset,
                                              std::uint32_t length) {
  auto local = job_.files.open_local(file);
  if (!local) return {};
  std::size_t got = local->read(offset, {local_bytes_->data(), length});
  return {local_bytes_->data(), got};
}

void Stream::take_digest(const Digest& digest) {
  Ask asked = take_pending(AskKind::kCompare, digest.tag);
  --compares_outstanding_;
  std::size_t count = asked.chunks.size();
  bool is_gone = is_gone_by(digest.status);
  if (!is_gone && digest.differs.size() != (count + 7) / 8)
    distrust("a comparison of other chunks than were asked for");
  auto differs = [&](std::size_t index) {
    return is_gone || (digest.differs[index / 8] >> (index % 8) & std::byte{1}) != std::byte{0};
  };
  bool is_relation = file_of(asked.file).is_relation;
  bool is_same = true;
  for (std::size_t index = 0; index < count; ++index) is_same = is_same && !differs(index);
  // Read through one open, or it could be half of one content and half of another.
  if (!is_relation && !is_same && !is_gone) return ask_to_read({asked.file, asked.offset, asked.length});
  for (std::size_t index = 0; index < count; ++index) {
    const LocalChunk& chunk = asked.chunks[index];
    if (is_gone) {
      job_.files.chunk_done(asked.file, {chunk.offset, 0, 0, true});
    } else if (!differs(index)) {
      keep(asked.file, {chunk.offset, chunk.length, chunk.crc});
    } else {
      Ask next;
      next.kind = chunk.is_zero ? AskKind::kRead : AskKind::kPageHashes;
      next.file = asked.file;
      next.offset = chunk.offset;
      next.length = chunk.length;
      asks_.push_back(std::move(next));
    }
  }
}

void Stream::take_page_digest(const PageDigest& digest) {
  Ask asked = take_pending(AskKind::kPageHashes, digest.tag);
  if (is_gone_by(digest.status))
    return job_.files.chunk_done(asked.file, {asked.offset, 0, 0, true});
  if (digest.length > asked.length || !is_whole_digest(digest))
    distrust("hashes of other pages than were asked for");
  auto local = read_local(asked.file, asked.offset, digest.length);
  auto ranges = different_pages(local, digest.length, digest.hashes, job_.hash_seed);
  if (ranges.empty())
    return keep(asked.file, {asked.offset, digest.length, protocol::crc32c(local)});
  Patch patch;
  patch.offset = asked.offset;
  patch.length = digest.length;
  ask_for_pages(asked.file, std::move(patch), ranges);
}

void Stream::take_newer_digest(const protocol::NewerDigest& digest) {
  Ask asked = take_pending(AskKind::kNewerPages, digest.tag);
  --compares_outstanding_;
  Piece piece{asked.file, asked.offset, asked.length};
  bool is_gone = is_gone_by(digest.status);
  if (digest.is_unreliable != 0) {
    if (job_.report_unreliable) job_.report_unreliable(path_of(asked.file));
    return ask_to_compare(piece);
  }
  std::uint32_t block_size = job_.ways->block_size;
  std::size_t count = (std::size_t{digest.length} + block_size - 1) / block_size;
  if (digest.length > asked.length || digest.newer.size() != (count + 7) / 8)
    distrust("positions of other pages than were asked for");
  BlockSet blocks;
  auto first = static_cast<std::uint32_t>(asked.offset / block_size);
  for (std::uint32_t index = 0; index < count; ++index)
    if ((digest.newer[index / 8] >> index % 8 & std::byte{1}) != std::byte{0}) blocks.add(first + index, 1);
  // Where the donor's file ends now. The rest of the piece, in chunks as they are counted, has nothing.
  std::uint64_t whole = (std::uint64_t{digest.length} + protocol::kChunkSize - 1) / protocol::kChunkSize * protocol::kChunkSize;
  piece.length = std::min<std::uint64_t>(digest.length, asked.length);
  if (piece.length > 0) ask_for_blocks(piece, blocks);
  for (std::uint64_t at = whole; at < asked.length; at += protocol::kChunkSize)
    job_.files.chunk_done(asked.file, {.offset = asked.offset + at, .is_gone = is_gone});
}

std::string Stream::read_part(const std::string& path, std::uint64_t offset, std::uint32_t size) {
  connection_->send_request(protocol::Read{next_tag_, offset, size, path});
  std::string content;
  while (!job_.stop.requested()) {
    auto message = connection_->receive();
    if (!message) {
      if (connection_->copy_ended()) distrust("it ended a stream before all was sent");
      wait(path);
      continue;
    }
    auto kind = protocol::kind_of<protocol::FrameKind>(message->bytes());
    if (kind == protocol::FrameKind::kAlive) continue;
    if (kind == protocol::FrameKind::kRangeEnd) {
      auto end = decode_or_distrust<RangeEnd>(*message);
      if (end.tag != next_tag_ || end.length != content.size()) distrust("an end out of order");
      ++next_tag_;
      return content;
    }
    auto data = decode_or_distrust<Data>(*message);
    if (data.tag != next_tag_ || data.offset != offset + content.size() ||
        data.plain_size > size - content.size() || data.plain_size > protocol::kFramePlainMax)
      distrust("data out of order");
    std::uint32_t crc = 0;
    if (data.coding == Coding::kZstd) {
      crc = expand(data, expanded_.data());
    } else if (data.coding == Coding::kZero && data.payload.empty()) {
      std::memset(expanded_.data(), 0, data.plain_size);
      crc = protocol::crc32c_add_zeros(0, data.plain_size);
    } else {
      if (data.coding != Coding::kPlain || data.payload.size() != data.plain_size)
        distrust("a frame of another size than it says");
      crc = protocol::copy_with_crc32c(expanded_.data(), data.payload);
    }
    if (crc != data.crc) distrust("file \"" + path + "\" was altered on its way");
    content.append(reinterpret_cast<const char*>(expanded_.data()), data.plain_size);
  }
  fail(Kind::kCancelled, "stopped");
}

void Stream::close() {
  connection_->end_copy();
  connection_->wait(0);
}

}  // namespace standby_clone
