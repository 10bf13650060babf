// disk.cpp: fsync(2) and syncfs(2).
#include "helper/disk/disk.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/utsname.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

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

// After a sync that failed the system takes what it could not write for written: a later run would
// read it from memory, find it equal to the donor's, and trust it, while the disk holds something else.
// So that goes out of memory; what is read then is what the disk holds.
void forget_content(int file) { posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); }

void forget_tree(const std::string& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    if (!fs::is_regular_file(at->symlink_status(error))) continue;
    UniqueFd file(open(at->path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (file) forget_content(file.get());
  }
}

class RealDisk : public Disk {
 public:
  void sync_file(int file, const std::string& path) override {
    if (fsync(file) == 0) return;
    int reason = errno;
    forget_content(file);
    fail_on_disk("fsync", path, reason);
  }
  void sync_directory(const std::string& path) override {
    sync_file(open_directory(path).get(), path);
  }
  bool sync_file_system(const std::string& path) override {
    static const bool reports = syncfs_reports_errors();
    if (!reports) return false;
    if (syncfs(open_directory(path).get()) == 0) return true;
    int reason = errno;
    forget_tree(path);
    fail_on_disk("sync the file system of", path, reason);
  }
};

}  // namespace

Disk& real_disk() {
  static RealDisk disk;
  return disk;
}

}  // namespace standby_clone
