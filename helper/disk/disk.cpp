// disk.cpp: fsync(2) and syncfs(2).
#include "helper/disk/disk.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

// syncfs() reports write errors from Linux 5.8 on; before, only fsync() does.
bool syncfs_reports_errors() {
  utsname name{};
  int major = 0, minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 8);
}

UniqueFd open_directory(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) fail_on_disk("open directory", path, errno);
  return directory;
}

class RealDisk : public Disk {
 public:
  void sync_file(int file, const std::string& path) override {
    if (fsync(file) != 0) fail_on_disk("fsync", path, errno);
  }
  void sync_directory(const std::string& path) override {
    sync_file(open_directory(path).get(), path);
  }
  bool sync_file_system(const std::string& path) override {
    static const bool reports = syncfs_reports_errors();
    if (!reports) return false;
    if (syncfs(open_directory(path).get()) != 0) fail_on_disk("sync the file system of", path, errno);
    return true;
  }
};

}  // namespace

Disk& real_disk() {
  static RealDisk disk;
  return disk;
}

}  // namespace standby_clone
