// directory.h: directories that nobody has taken, by absolute path: looked at only.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace standby_clone {

std::vector<std::string> entries_of(const std::string& path);
std::optional<std::string> read_if_there(const std::string& path);
std::string read_whole(const std::string& path);

}  // namespace standby_clone
