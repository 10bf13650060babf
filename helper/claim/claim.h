// claim.h: taking a directory: locked first, looked at, and then taken or refused. A cluster that is
// there is changed by claim_cluster() only, when all that can refuse has been asked.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "helper/claim/look.h"
#include "helper/disk/target.h"

namespace standby_clone {

// Fails with kTargetRefused, having changed nothing, where refusal() says so, or another helper has it.
// Options and leave agree on whether a cluster may be updated. `warn` hears what is not as it should be.
std::unique_ptr<Target> open_target(const TargetOptions& options, const Leave& leave,
                                    const std::function<void(const std::string&)>& warn);
// As it is without any leave but that of its options.
std::unique_ptr<Target> open_target(const TargetOptions& options);

// Looks again, and makes the first change. Fails like open_target(), and where pg_control is not `judged`, if
// that is not empty.
void claim_cluster(Target& target, const Leave& leave, const std::string& judged = "");

}  // namespace standby_clone
