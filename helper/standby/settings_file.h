// settings_file.h: postgresql.auto.conf of the standby: the text the data directory came with, and what makes it a
// standby of its donor. Nothing else is written there.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "helper/standby/configuration.h"

namespace standby_clone {

inline constexpr char kAutoConf[] = "postgresql.auto.conf";

// A setting that would make something else of the copy than a standby, or keep its server from starting, and the
// value that does not.
struct Override {
  std::string name, value;
  std::string file;         // that sets it
  bool is_dropped = false;  // postgresql.auto.conf alone sets it: the line goes
};

// A data directory that was at `from` on the donor is at `to` here.
struct Moved {
  std::string from, to;
};

// Stands for the file of a setting that was given to the clone (--set): that one is meant.
inline constexpr char kGiven[] = "--set";

// Of all that the standby's server will read; primary_conninfo aside, which always is the clone's. With `has_slot`
// so is primary_slot_name.
std::vector<Override> overrides_for(const Configuration& configuration, const Moved& moved, bool has_slot);

// "recovery_target_time (postgresql.conf), ...".
std::string names_of(const std::vector<Override>& overrides);

// `before`: the text that is there. `slot_name` may be empty. `given`: names in lower case, the last of one counts.
std::string standby_settings(const std::string& before, const std::string& conninfo, const std::string& slot_name,
                             const std::vector<Override>& overrides,
                             const std::vector<std::pair<std::string, std::string>>& given = {});

// A value quoted for the file.
std::string quote_setting(const std::string& value);

}  // namespace standby_clone
