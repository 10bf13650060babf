// agent.h: waits on the standby host for request_standby_clone(), and carries out one request at a
// time.
#pragma once

#include "helper/base/stop.h"
#include "helper/options/options.h"

namespace standby_clone {

// Returns the exit code: 0 after a stop while no clone ran, that of kCancelled after one that ended a
// clone. Fails only where it never came to wait: kPreflight when the primary refuses this agent.
int run_agent(const Options& options, StopSource& stop);

}  // namespace standby_clone
