// socket_state.cpp: what TCP_INFO knows.
#include "extension/sender/socket_state.h"

#include <cstddef>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "protocol/limits.h"

namespace sender {

std::uint32_t bytes_not_sent(int socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  // Before Linux 4.6 it was not told.
  if (size < offsetof(tcp_info, tcpi_notsent_bytes) + sizeof(info.tcpi_notsent_bytes)) return 0;
  return info.tcpi_notsent_bytes;
}

void limit_bytes_not_sent(int socket) {
  int limit = 2 * protocol::kFramePlainMax;
  setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof(limit));
}

}  // namespace sender
