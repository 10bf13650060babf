// directory.cpp: looking, without a trace.
#include "helper/preflight/directory.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "helper/base/failure.h"

namespace standby_clone {

namespace fs = std::filesystem;

std::string nearest_existing(const std::string& path) {
  fs::path at(path);
  std::error_code error;
  while (!fs::exists(at, error) && at.has_parent_path() && at != at.parent_path())
    at = at.parent_path();
  return at.string();
}

int why_not_written_to(const std::string& directory) {
  return faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

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
