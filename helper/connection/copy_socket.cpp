// copy_socket.cpp: looks before it takes, so that whatever is not ours is left to libpq.
#include "helper/connection/copy_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <sys/socket.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr std::byte kCopyData{'d'}, kCopyDone{'c'};

// Kind, then the length of all but the kind, in network order.
constexpr std::size_t kHeaderSize = 5, kLengthSize = 4;

// So much is looked at when a message begins: many small ones come at once, of a large one
// little is copied twice.
constexpr std::size_t kPeekSize = 4096;

std::size_t size_of_message(const std::byte* header) {
  std::size_t length = 0;
  for (std::size_t at = 1; at < kHeaderSize; ++at)
    length = length << 8 | std::to_integer<std::size_t>(header[at]);
  if (length < kLengthSize || length - kLengthSize > protocol::kFrameMax)
    fail(Kind::kCorrupted,
         fmt::format("the donor's answer cannot be trusted: a message of {} bytes", length),
         "Check the network between the hosts, and that both run the same pg_standby_clone.");
  return 1 + length;
}

// How many of these bytes belong to CopyData messages, the last of which may go on behind them.
std::size_t copy_data_in(const std::byte* bytes, std::size_t size) {
  std::size_t at = 0;
  while (at < size && bytes[at] == kCopyData) {
    if (size - at < kHeaderSize) return size;
    at += size_of_message(bytes + at);
  }
  return std::min(at, size);
}

void append_header(std::vector<std::byte>& output, std::byte kind, std::size_t content) {
  auto length = static_cast<std::uint32_t>(kLengthSize + content);
  output.push_back(kind);
  for (int shift = 24; shift >= 0; shift -= 8)
    output.push_back(static_cast<std::byte>(length >> shift));
}

}  // namespace

CopySocket::CopySocket(int fd) : fd_(fd), input_(kHeaderSize + protocol::kFrameMax + kPeekSize) {}

// Bytes of the message that has begun, or of its header while that is not here.
std::size_t CopySocket::wanted() const {
  return available() < kHeaderSize ? kHeaderSize : size_of_message(&input_[begin_]);
}

CopySocket::Got CopySocket::receive(protocol::Bytes& message) {
  while (true) {
    if (available() == 0) {
      if (Got got = begin_message(); got != Got::kMessage) return got;
      continue;
    }
    std::size_t size = wanted();
    if (available() < size) {
      if (Got got = fill(size); got != Got::kMessage) return got;
      continue;
    }
    message = protocol::Bytes(input_).subspan(begin_ + kHeaderSize, size - kHeaderSize);
    begin_ += size;
    return Got::kMessage;
  }
}

CopySocket::Got CopySocket::begin_message() {
  begin_ = end_ = 0;
  ssize_t seen = recv(fd_, input_.data(), kPeekSize, MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return Got::kNothing;
  std::size_t ours = seen > 0 ? copy_data_in(input_.data(), static_cast<std::size_t>(seen)) : 0;
  return ours > 0 ? fill(ours) : Got::kForLibpq;
}

// Takes bytes from the socket until `size` are here or no more have come.
CopySocket::Got CopySocket::fill(std::size_t size) {
  if (begin_ > 0) {
    std::memmove(input_.data(), &input_[begin_], available());
    end_ -= begin_;
    begin_ = 0;
  }
  ssize_t got = recv(fd_, &input_[end_], size - end_, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Got::kNothing;
  if (got <= 0) return Got::kForLibpq;
  end_ += static_cast<std::size_t>(got);
  return Got::kMessage;
}

void CopySocket::queue(protocol::Bytes message) {
  append_header(output_, kCopyData, message.size());
  output_.insert(output_.end(), message.begin(), message.end());
}

void CopySocket::queue_end() { append_header(output_, kCopyDone, 0); }

bool CopySocket::flush() {
  while (sent_ < output_.size()) {
    ssize_t sent = send(fd_, &output_[sent_], output_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) break;
    sent_ += static_cast<std::size_t>(sent);
  }
  output_.clear();
  sent_ = 0;
  return true;
}

}  // namespace standby_clone
