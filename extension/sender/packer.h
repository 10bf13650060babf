// packer.h: compresses frames, at a fixed level or at the one that suits link and
// processor.
#pragma once

#include <span>

#include "extension/sender/compression_level.h"
#include "extension/sender/meter.h"

namespace sender {

struct Packer {
  LevelControl control;
  Incompressible incompressible;
  std::uint32_t frames;        // since the stream began or was judged last
};

// The level the next frame is tried at, 0: it goes as it is.
int level_for_next(Packer& packer, const session::SessionArea& area);

// Compresses into a buffer of this process; returns the payload, with room for a frame's
// header before it, or nothing if it is not worth sending so. Counted in `meter`.
std::span<char> pack(Packer& packer, Meter& meter, int level, std::span<const char> plain);

// Looks at the window that ended, chooses the level for the next one, shows it in `slot`.
void judge(Packer& packer, const session::SessionArea& area, session::StreamSlot& slot,
           const Window& window);

}  // namespace sender
