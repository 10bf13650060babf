// directory.h: directories that nobody has taken, by absolute path: looked at only.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace standby_clone {

// Whether it is `directory`, or below it, by their names alone: both as realpath(3) gives them.
inline bool is_inside(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

std::vector<std::string> entries_of(const std::string& path);
std::optional<std::string> read_if_there(const std::string& path);
// The directory itself, or the nearest one above it that is there.
std::string nearest_existing(const std::string& path);
// The errno value of an attempt to; 0: it can be written to.
int why_not_written_to(const std::string& directory);

}  // namespace standby_clone
