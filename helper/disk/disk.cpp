// disk.cpp: the system calls; openat2(2) where the kernel has it.
#include "helper/disk/disk.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

int open_beneath(int directory, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}

// One name, which leads neither up nor through a link.
int open_name(int directory, const std::string& name, int flags, mode_t mode) {
  if (name != "..") return openat(directory, name.c_str(), flags | O_NOFOLLOW, mode);
  errno = EXDEV;
  return -1;
}

// Linux before 5.6 does not know the call, and sandboxes of that time forbid what they do not know.
bool has_openat2() {
  static const bool has = bool(UniqueFd(open_beneath(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0)));
  return has;
}

// syncfs() reports write errors from Linux 5.8 on; before, only fsync() does.
bool syncfs_reports_errors() {
  utsname name{};
  int major = 0, minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 8);
}

}  // namespace

int open_name_by_name(int directory, const char* path, int flags, mode_t mode) {
  std::string rest = path;
  UniqueFd at;
  for (std::size_t slash; (slash = rest.find('/')) != std::string::npos; rest.erase(0, slash + 1)) {
    at = UniqueFd(open_name(directory, rest.substr(0, slash), O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    if (!at) return -1;
    directory = at.get();
  }
  return open_name(directory, rest, flags, mode);
}

int Disk::open(int directory, const char* path, int flags, mode_t mode) {
  return has_openat2() ? open_beneath(directory, path, flags, mode)
                       : open_name_by_name(directory, path, flags, mode);
}

ssize_t Disk::write(int file, std::span<const std::byte> bytes, off_t at) {
  return pwrite(file, bytes.data(), bytes.size(), at);
}

// fallocate(2) itself: posix_fallocate()'s fallback may overwrite what another stream wrote.
int Disk::allocate(int file, off_t length) { return fallocate(file, 0, 0, length); }

int Disk::truncate(int file, off_t length) { return ftruncate(file, length); }

int Disk::set_mode(int file, mode_t mode) {
  int result = fchmod(file, mode);
  if (result == 0 || errno != EBADF) return result;
  return chmod(("/proc/self/fd/" + std::to_string(file)).c_str(), mode);
}

int Disk::make_directory(int directory, const char* name, mode_t mode) {
  return mkdirat(directory, name, mode);
}

int Disk::make_link(const char* leads_to, int directory, const char* name) {
  return symlinkat(leads_to, directory, name);
}

int Disk::rename(int from_directory, const char* from, int to_directory, const char* to) {
  return renameat(from_directory, from, to_directory, to);
}

int Disk::link(int from_directory, const char* from, int to_directory, const char* to) {
  return linkat(from_directory, from, to_directory, to, 0);
}

int Disk::unlink(int directory, const char* name, int flags) {
  return unlinkat(directory, name, flags);
}

int Disk::lock(int file, int operation) { return flock(file, operation); }

int Disk::sync(int file) { return fsync(file); }

int Disk::sync_file_system(int file) {
  static const bool reports = syncfs_reports_errors();
  if (reports) return syncfs(file);
  errno = ENOSYS;
  return -1;
}

Disk& disk_without_syncfs() {
  class SyncsByFile : public Disk {
    int sync_file_system(int) override {
      errno = ENOSYS;
      return -1;
    }
  };
  static SyncsByFile disk;
  return disk;
}

Disk& real_disk() {
  static Disk disk;
  return disk;
}

}  // namespace standby_clone
