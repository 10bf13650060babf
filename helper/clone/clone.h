// clone.h: the whole job.
#pragma once

#include "helper/base/stop.h"
#include "helper/options/options.h"
#include "helper/progress/progress.h"

namespace standby_clone {

// Makes the standby. Returns the exit code; everything there is to say has been said.
int run_clone(const Options& options, Progress& progress, StopSource& stop);

}  // namespace standby_clone
