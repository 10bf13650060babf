// preflight.h: the checks before a clone: what would stop it, on both hosts, found
// without touching anything. `pg_standby_clone check` shows all of them; a clone runs
// the same ones first, and stops on errors before anything is written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "helper/base/stop.h"
#include "helper/connection/connection.h"
#include "helper/options/options.h"
#include "helper/preflight/findings.h"

namespace standby_clone {

// The directory, before the donor is asked.
Findings check_target(const Options& options);

// The donor, and this host against it.
Findings check_donor(const Options& options, Connection& connection, const std::string& schema,
                     const StopSource& stop);

// All of them, and whether both kinds of connection are let in. Shows what is found;
// returns the exit code.
int run_check(const Options& options, const StopSource& stop);

// What the standby's primary_conninfo will say, by a connection to the donor.
std::string standby_conninfo_by(const Options& options, const Connection& connection);

// Connects with that, as the standby's server will: without what it will not know. Nothing: it is not let in, or
// elsewhere, which is a finding.
std::unique_ptr<Connection> connect_as_standby(const Options& options, const std::string& conninfo,
                                               const Address& donor, std::uint64_t system, const StopSource& stop,
                                               Findings& findings);

}  // namespace standby_clone
