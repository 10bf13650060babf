// gentle.h: a clone that steps back when others suffer (--gentle).
#pragma once

#include "extension/session/shared.h"

namespace sender {

// Looks at the server once a second, whichever stream comes first, and returns the share
// of its time, in permille, that a stream may work. Full for a clone that is not gentle.
std::uint32_t gentle_permille(session::SessionArea* area);

// A stream has read so much that was not in the page cache.
void note_disk_read(session::SessionArea* area, std::uint64_t bytes, std::uint64_t us);

}  // namespace sender
