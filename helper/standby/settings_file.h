// settings_file.h: postgresql.auto.conf, made fit for the standby.
#pragma once

#include <string>

namespace standby_clone {

// The content of `donors` with what the donor's role left behind taken out
// (primary_conninfo, primary_slot_name, every recovery_target*), and the standby's own
// lines at the end: the last line of a name wins, but none is piled up. An empty
// `slot_name` writes none.
std::string standby_settings(const std::string& donors, const std::string& conninfo,
                             const std::string& slot_name);

// A value as the server's configuration files want it.
std::string quote_setting(const std::string& value);

}  // namespace standby_clone
