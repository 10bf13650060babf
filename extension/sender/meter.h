// meter.h: where the time of one stream goes, window by window.
#pragma once

#include "extension/sender/compression_level.h"
#include "extension/sender/socket_state.h"
#include "extension/session/shared.h"

namespace sender {

struct Meter {
  Window window;             // the one that is under way; wall_us at its end
  std::uint64_t began_us;
  std::uint64_t read_us;     // reading what was not in the page cache
  std::uint64_t looked_us;   // at the link
  bool was_full;             // then
  std::uint8_t helper_waited;  // percent of its time lately, as the last request said
};

void note_wait(Meter& meter, std::uint64_t us);

// Looks whether the link is full; the time since the last look is counted as it is found.
// Called after each wait and before each frame.
void look_at_link(Meter& meter);

// Ends the window when it is long enough: true, and `ended` is what it was. Its shares are
// put into `slot` for all to see.
bool end_window(Meter& meter, session::StreamSlot& slot, Window& ended);

}  // namespace sender
