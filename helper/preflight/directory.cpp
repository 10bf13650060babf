// directory.cpp: looking, without a trace.
#include "helper/preflight/directory.h"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "helper/base/failure.h"
#include "helper/disk/directory.h"

namespace standby_clone {

namespace fs = std::filesystem;

Room room_at(const std::string& path) {
  std::string directory = nearest_existing(path);
  struct stat status;
  struct statvfs room;
  if (stat(directory.c_str(), &status) != 0 || statvfs(directory.c_str(), &room) != 0)
    fail_on_disk("look at directory", directory, errno);
  return {status.st_dev, static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize};
}

std::uint64_t bytes_in(const std::string& path) {
  std::uint64_t bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error);
  for (fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    struct stat status;
    if (lstat(at->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace standby_clone
