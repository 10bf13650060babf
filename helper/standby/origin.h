// origin.h: where a standby comes from, kept with it for who asks later: a file of the data directory, in its manifest, that
// no clone of the standby takes along. No secrets are in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "helper/base/lsn.h"

namespace standby_clone {

inline constexpr char kOriginFile[] = "pg_standby_clone.origin";

struct StandbyOrigin {
  std::int64_t id = 0;  // of the clone, on the donor
  std::string name, slot;  // of the standby; no slot: empty
  std::string donor_host, donor_port;
  std::uint64_t system_identifier = 0;
  int server_version = 0;  // as PQserverVersion()
  std::string method;      // protocol::name_of()
  Timeline timeline = 0;   // of the end of the backup
  Lsn start_lsn = 0, stop_lsn = 0;
  bool verified_checksums = false;  // of pages, where the cluster has them
  std::int64_t completed_at = 0;    // seconds since 1970
};

// JSON, with the program's version and this host's name and user.
std::string text_of(const StandbyOrigin& origin);

// Of a data directory; none: it has none, or nothing that could be one.
std::optional<StandbyOrigin> read_origin(const std::string& data_directory);

}  // namespace standby_clone
