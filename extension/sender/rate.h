// rate.h: the token bucket of one clone, shared by all its streams. What it limits
// is bytes on the wire; WAL goes over the server's own connection and is not
// counted.
#pragma once

#include "extension/session/shared.h"

namespace sender {

// Takes `bytes` out of the bucket. Returns how many microseconds the caller must
// wait before it sends them; 0 without a limit.
std::uint64_t take_from_bucket(session::SessionArea* area, std::uint64_t bytes);

// Plain bytes of the next frame: small frames under a low limit, so that the rate
// is even and a stop is quick.
std::uint32_t frame_size_for(session::SessionArea* area);

}  // namespace sender
