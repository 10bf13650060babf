// takeover.h: before a used directory is changed: is it of this donor's cluster, and is it not
// the donor itself?
#pragma once

#include "helper/clone/control.h"
#include "helper/disk/target.h"

namespace standby_clone {

// A used directory is of this donor's cluster, and is not the donor's own. Fails with kTargetRefused, having
// changed nothing, if it may not be touched.
void check_identity(Target& target, Control& control, const DonorFacts& donor);

}  // namespace standby_clone
