// socket_state.h: what lies before the link. Apart, because the kernel's header of it and the
// C library's cannot be included together.
#pragma once

#include <cstdint>

namespace sender {

// Bytes in the socket that the link has not taken yet; 0 where the kernel does not say. (Those
// on their way say little: a receiver that is busy acknowledges late.)
std::uint32_t bytes_not_sent(int socket);

// Lets only some frames lie before the link, whatever its round trip: what lies there was
// compressed, or not, by what was known of the link before. A hint; without it a socket takes megabytes.
void limit_bytes_not_sent(int socket);

}  // namespace sender
