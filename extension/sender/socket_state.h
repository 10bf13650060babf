// socket_state.h: what lies before the link. Apart, because the kernel's header of it and the
// C library's cannot be included together.
#pragma once

#include <cstdint>

namespace sender {

// Bytes in the socket that the link has not taken yet; 0 where the kernel does not say. (Those
// on their way say little: a receiver that is busy acknowledges late.)
std::uint32_t bytes_not_sent(int socket);

}  // namespace sender
