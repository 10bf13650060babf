// configuration.h: what the standby's server will read when it starts, found before anything is copied: whether it
// makes a standby of this very directory, and whether a server can start with it on this host.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "helper/base/stop.h"
#include "helper/options/options.h"
#include "helper/preflight/donor.h"
#include "helper/preflight/findings.h"

namespace standby_clone {

// Does the directory's own configuration stay? So it does with --delta, and when such a run is gone on with.
bool keeps_own_configuration(const Options& options);

// The postgresql.conf outside the data directory that the standby's server will read: --config-file, or on a host like
// the donor's the file of the same name; else empty.
std::string external_config_file(const Options& options, const std::vector<std::string>& donors_external_files,
                                 const std::string& donor_directory);

// `binaries`: where PostgreSQL's programs are; empty: not here.
void check_configuration(const Options& options, const DonorReport& donor, const std::string& binaries,
                         const StopSource& stop, Findings& findings);

// Those of the donor's that are higher than what the standby's configuration says, in words:
// "max_connections = 10 (the donor has 40)".
std::vector<std::string> settings_too_low(const std::vector<HotSetting>& donors, const Configuration& standbys);

}  // namespace standby_clone
