// host.h: the standby's host, measured against what the donor says it has.
#pragma once

#include "helper/claim/look.h"
#include "helper/options/options.h"
#include "helper/preflight/donor.h"
#include "helper/preflight/findings.h"

namespace standby_clone {

// What this host's administrator lets a clone do with the directory.
Leave leave_of(const Options& options);

// The directories a clone would take; needs no donor.
void check_directories(const Options& options, Findings& findings);

// Where the donor's tablespaces would go, and whether there is room for everything.
void check_space(const Options& options, const DonorReport& donor, Findings& findings);

// Operating system user, PostgreSQL's programs, libraries behind collations, and the
// configuration that waits for the standby outside its data directory.
void check_host(const Options& options, const DonorReport& donor, const StopSource& stop,
                Findings& findings);

}  // namespace standby_clone
