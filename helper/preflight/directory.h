// directory.h: where a directory is, or would be: is there room? Who has it is decided in helper/claim.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace standby_clone {

// Room on the file system a directory is on, or would be on.
struct Room {
  std::uint64_t device = 0;
  std::uint64_t available = 0;
};
Room room_at(const std::string& path);

// Bytes that a directory's files take on disk; what cannot be read counts nothing.
std::uint64_t bytes_in(const std::string& path);

}  // namespace standby_clone
