// messages.cpp: any bytes, in pieces of any size, as what comes on a stream's socket. What is handed out and what
// is left in the socket for libpq are together what came.
#include <sys/socket.h>

#include <utility>

#include "fuzz/target.h"
#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"
#include "helper/connection/copy_socket.h"

using namespace standby_clone;

namespace {

using Got = CopySocket::Got;

std::pair<UniqueFd, UniqueFd> connected() {
  int ends[2];
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The message as it came.
std::string whole(protocol::Bytes content) {
  std::size_t length = content.size() + 4;
  std::string message = "d";
  for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(length >> shift);
  return message.append(reinterpret_cast<const char*>(content.data()), content.size());
}

std::string rest_of(int fd) {
  std::string rest(1 << 16, '\0');
  ssize_t got = recv(fd, rest.data(), rest.size(), MSG_DONTWAIT);
  rest.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return rest;
}

void try_stream(const std::string& bytes, std::size_t piece) {
  auto [ours, server] = connected();
  CopySocket socket(ours.get());
  std::string handed_out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    std::size_t size = std::min(piece, bytes.size() - at);
    require(write(server.get(), &bytes[at], size) == static_cast<ssize_t>(size));
    protocol::Bytes content;
    Got got;
    while ((got = socket.receive(content)) == Got::kMessage) handed_out += whole(content);
    if (got != Got::kForLibpq) continue;
    std::string rest = rest_of(ours.get());
    require(!rest.empty() && rest[0] != 'd');
    require(handed_out + rest == bytes.substr(0, at + size));
    return;
  }
  require(bytes.starts_with(handed_out));
  require(handed_out.size() == bytes.size() || bytes[handed_out.size()] == 'd');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  try {
    try_stream(text_of(data + 1, size - 1), 1 + std::size_t{data[0]} * data[0]);
  } catch (const Failure& failure) {
    require(failure.kind == Kind::kCorrupted);
  }
  return 0;
}
