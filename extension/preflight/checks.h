// checks.h: what would stop a clone from this server, found without touching anything.
// Each function looks at one thing and adds its rows.
#pragma once

#include "extension/preflight/findings.h"

namespace preflight {

// May this role look? Superusers, REPLICATION, members of pg_monitor; else an ERROR.
void check_caller();

// What is set and what is taken: settings, slots, WAL senders, workers, connections.
void check_server(Findings& findings);
// Where files lie, no file being looked at.
void check_places(Findings& findings);
// What travels and what stays behind, each file being looked at.
void check_files(Findings& findings);
// What the configuration files say, which of them travel.
void check_configuration(Findings& findings);
// How much WAL is written, and how long that may be kept. Needs SPI.
void check_wal(Findings& findings);
// Who is let in, as far as this role may read pg_hba.conf. Needs SPI.
void check_host_based_access(Findings& findings);
// Collation versions and the libraries behind them. Needs SPI.
void check_collations(Findings& findings);

}  // namespace preflight
