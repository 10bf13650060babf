// steer.h: what other sessions do to a clone that runs. All take effect at once, in
// whatever phase, and are not undone by a ROLLBACK.
#pragma once

#include "extension/session/shared.h"

namespace session {

struct Live {
  bool exists;
  std::int64_t id;  // 0 while its worker has not taken one
};
Live find_live(const char* target);

// Has a clone of this number ended lately?
bool has_ended(std::int64_t id);

// The highest number of a clone of this database; 0 if there is none.
std::int64_t last_id();

// Each is false when no clone of this number runs. A clone cancels for the first
// `reason` it is given.
bool cancel(std::int64_t id, const char* reason);
bool set_paused(std::int64_t id, bool is_paused, State& state_now);
bool set_rate(std::int64_t id, std::uint64_t bytes_per_second);

}  // namespace session
