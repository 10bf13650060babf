// space.h: is there room for what is to come? By apparent sizes, of the donor's files and of what is free here:
// where the file system compresses, neither says what will be used.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "helper/disk/target.h"
#include "helper/plan/file_list.h"
#include "helper/plan/leftovers.h"

namespace standby_clone {

struct Shortage {
  std::string directory;  // the first of that file system
  std::uint64_t needed = 0, available = 0;
  bool compresses = false;

  std::string text() const;
  static const char* hint();
};

// The file systems that seem too small, whatever is mounted below the data directory counted for
// itself. What an earlier life has left of a file is used again, what is left over gives its room. Needs no layout:
// what is not there yet will be where the nearest directory above it is.
std::vector<Shortage> find_shortages(const Target& target, const FileList& list, const Leftovers& leftovers);

}  // namespace standby_clone
