// preflight.h: what would keep the standby's server from starting, found before anything is copied.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "helper/base/stop.h"
#include "helper/server/server.h"

namespace standby_clone {

// A setting of the donor that a standby's must not be below (trap 61).
struct HotSetting {
  std::string name;
  std::int64_t value = 0;
  // Set by ALTER SYSTEM on the donor: that line travels, and overrules the standby's own files.
  bool travels = false;
};

// Those of `donors` that are higher than what `value_of(name)` says for this host, in words:
// "max_connections = 10 (the donor has 40)".
template <class ValueOf>
std::vector<std::string> settings_too_low(const std::vector<HotSetting>& donors, ValueOf value_of);

// Fails with kPreflight. `external_files`: configuration of the donor outside its data directory,
// which does not travel. The data directory exists.
void check_can_start(const ServerOptions& server, const std::vector<HotSetting>& donors,
                     const std::string& external_files, const StopSource& stop);

// --- implementation of the template ---

template <class ValueOf>
std::vector<std::string> settings_too_low(const std::vector<HotSetting>& donors, ValueOf value_of) {
  std::vector<std::string> low;
  for (const auto& donor : donors) {
    if (donor.travels) continue;
    std::int64_t ours = value_of(donor.name);
    if (ours < donor.value)
      low.push_back(donor.name + " = " + std::to_string(ours) + " (the donor has " +
                    std::to_string(donor.value) + ")");
  }
  return low;
}

}  // namespace standby_clone
