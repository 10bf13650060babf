// directory.h: what a directory holds that is to become a standby, or part of one. Looks
// only; Target takes it, and decides anew while it does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace standby_clone {

enum class Holds {
  kNothing,          // it is not there
  kEmpty,
  kUnfinishedClone,  // of ours, nobody works on it
  kCompleteClone,    // but for deleting the journal
  kCluster,
  kOther,
  kNotADirectory,
};

struct DirectoryLook {
  Holds holds = Holds::kNothing;
  long server_pid = 0;          // of a running server; 0: none
  long clone_pid = 0;           // of a clone at work; 0: none
  bool is_mount_point = false;  // holds lost+found only
  bool is_ours = true;          // belongs to this operating system user
};

// Fails with kTargetRefused or kDisk when it cannot even be looked at.
DirectoryLook look_at_directory(const std::string& path);

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
