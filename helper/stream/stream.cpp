// stream.cpp: the way of a byte from libpq's buffer to the file: one copy, checked on
// the way, into an aligned chunk; one write.
#include "helper/stream/stream.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <zstd.h>

#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

using protocol::Coding;
using protocol::Data;
using protocol::RangeEnd;
using protocol::RangeStatus;

[[noreturn]] void distrust(const std::string& why) {
  fail(Kind::kCorrupted, "the donor's answer cannot be trusted: " + why,
       "Check the network between the hosts, and that both run the same pg_standby_clone.");
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
      zstd_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
  if (!zstd_) throw std::bad_alloc();
}

Stream::~Stream() = default;

void Stream::run() {
  while (!job_.stop.requested()) {
    bool is_paused = job_.is_paused != nullptr && *job_.is_paused;
    bool asked = !is_paused && ask_for_more();
    if (pending_.empty() && !asked && !is_paused) return;
    // All that has come is taken before more is read: libpq doubles its buffer and never
    // shrinks it.
    bool took = false;
    while (auto message = connection_->receive()) {
      handle(*message);
      took = true;
    }
    if (connection_->copy_ended()) distrust("it ended a stream before all was sent");
    if (!took) connection_->wait(1000);
  }
}

// Asks for chunks up to the limits. True if something was asked for.
bool Stream::ask_for_more() {
  bool asked = false;
  while (plain_outstanding_ < protocol::kOutstandingPlainMax &&
         requests_outstanding_ < protocol::kOutstandingRequestMax) {
    if (!has_piece_) {
      auto next = job_.plan.next();
      if (!next) return asked;
      piece_ = *next;
      has_piece_ = true;
    }
    Pending pending;
    pending.tag = next_tag_++;
    pending.file = piece_.file;
    pending.offset = piece_.offset;
    pending.length =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_.length, protocol::kChunkSize));
    std::string_view path = job_.list.path(job_.list.files[piece_.file]);
    pending.request_size = static_cast<std::uint32_t>(path.size()) + 32;
    connection_->send_request(
        protocol::Read{pending.tag, pending.offset, pending.length, path});
    plain_outstanding_ += pending.length;
    requests_outstanding_ += pending.request_size;
    pending_.push_back(pending);
    piece_.offset += pending.length;
    piece_.length -= pending.length;
    has_piece_ = piece_.length > 0;
    asked = true;
  }
  return asked;
}

void Stream::handle(const Message& message) {
  job_.counters.bytes_wire.fetch_add(message.bytes().size() + 5, std::memory_order_relaxed);
  switch (protocol::kind_of<protocol::FrameKind>(message.bytes())) {
    case protocol::FrameKind::kData: return take_data(decode_or_distrust<Data>(message));
    case protocol::FrameKind::kRangeEnd: return take_end(decode_or_distrust<RangeEnd>(message));
    default: distrust("a frame of unknown kind");
  }
}

void Stream::take_data(const Data& data) {
  if (pending_.empty() || data.tag != pending_.front().tag) distrust("data nobody asked for");
  const Pending& asked = pending_.front();
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
                     job_.list.path(job_.list.files[asked.file]), data.offset),
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

void Stream::take_end(const RangeEnd& end) {
  if (pending_.empty() || end.tag != pending_.front().tag) distrust("an end nobody asked for");
  Pending asked = pending_.front();
  pending_.pop_front();
  bool is_gone = end.status == RangeStatus::kGone;
  if ((end.status != RangeStatus::kRead && !is_gone) || end.length != chunk_.received)
    distrust("an end that does not fit its data");
  plain_outstanding_ -= asked.length;
  requests_outstanding_ -= asked.request_size;
  // New files read as zeros where nothing was written: a chunk of zeros stays a hole.
  if (chunk_.has_content)
    job_.files.write(asked.file, asked.offset, {chunk_bytes_.data(), chunk_.received});
  if (end.checksum_failures > 0)
    job_.report_bad_pages(std::string(job_.list.path(job_.list.files[asked.file])),
                          end.checksum_failures, end.first_bad_block);
  job_.files.chunk_done(asked.file, {asked.offset, chunk_.received, chunk_.crc, is_gone});
  chunk_ = {};
}

std::string Stream::read_small_file(const std::string& path, std::uint32_t size) {
  connection_->send_request(protocol::Read{next_tag_, 0, size, path});
  std::string content;
  while (!job_.stop.requested()) {
    auto message = connection_->receive();
    if (!message) {
      if (connection_->copy_ended()) distrust("it ended a stream before all was sent");
      connection_->wait(1000);
      continue;
    }
    auto kind = protocol::kind_of<protocol::FrameKind>(message->bytes());
    if (kind == protocol::FrameKind::kRangeEnd) {
      auto end = decode_or_distrust<RangeEnd>(*message);
      if (end.tag != next_tag_ || end.length != content.size()) distrust("an end out of order");
      ++next_tag_;
      return content;
    }
    auto data = decode_or_distrust<Data>(*message);
    if (data.tag != next_tag_ || data.offset != content.size() ||
        data.plain_size > size - content.size() || data.plain_size > protocol::kFramePlainMax)
      distrust("data out of order");
    std::uint32_t crc = 0;
    if (data.coding == Coding::kZstd) {
      crc = expand(data, expanded_.data());
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
