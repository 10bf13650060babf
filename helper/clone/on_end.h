// on_end.h: the administrator's own command, told how the clone ended.
#pragma once

#include <cstdint>
#include <optional>

#include "helper/base/failure.h"
#include "helper/options/options.h"
#include "helper/progress/progress.h"

namespace standby_clone {

struct Outcome {
  std::int64_t id = 0;  // of the clone on the donor; 0: it has none
  std::optional<protocol::Method> method;  // of a complete one, where it is known
  std::optional<Failure> failure;          // none: it is complete
};

// Runs --on-end, if there is one, by the shell, once, and waits for it, five minutes at most: a clone that failed or was
// cancelled is told as well. The result is to be said afterwards, as the last word. What is known goes by its environment alone: CLONE_STATE (completed, failed, cancelled), CLONE_EXIT_CODE,
// CLONE_ID, CLONE_NAME, CLONE_DIR, CLONE_METHOD, CLONE_ERROR. If it fails, that is a warning.
void run_on_end(const Options& options, const Outcome& outcome, Progress& progress);

}  // namespace standby_clone
