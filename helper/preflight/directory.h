// directory.h: where a directory is, or would be: may it be written to, and is there room? Who has it is
// decided in helper/claim.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace standby_clone {

// The directory itself, or the nearest one above it that is there.
std::string nearest_existing(const std::string& path);
// The errno value of an attempt to; 0: it can be written to.
int why_not_written_to(const std::string& directory);

// Room on the file system a directory is on, or would be on.
struct Room {
  std::uint64_t device = 0;
  std::uint64_t available = 0;
};
Room room_at(const std::string& path);

// Bytes that a directory's files take on disk; what cannot be read counts nothing.
std::uint64_t bytes_in(const std::string& path);

}  // namespace standby_clone
