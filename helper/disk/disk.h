// disk.h: the system calls by which a taken directory changes, and by which the change becomes
// durable: one for one, with their results and errno. What an error means is decided above
// (tree.cpp, output_file.cpp). They can be replaced because a test must stand in: a disk that loses
// all that was not synced proves the order of things (faulty_disk.h), one that fails proves the
// manners.
#pragma once

#include <cstddef>
#include <span>
#include <sys/types.h>

namespace standby_clone {

class Disk {
 public:
  virtual ~Disk() = default;

  // Beneath `directory` and through no link, whatever stands on the way; "." is the directory.
  virtual int open(int directory, const char* path, int flags, mode_t mode = 0);
  virtual ssize_t write(int file, std::span<const std::byte> bytes, off_t at);
  virtual int allocate(int file, off_t length);
  virtual int truncate(int file, off_t length);
  virtual int set_mode(int file, mode_t mode);  // O_PATH will do
  // Of one name in a directory: no path.
  virtual int make_directory(int directory, const char* name, mode_t mode);
  virtual int make_link(const char* leads_to, int directory, const char* name);
  virtual int rename(int from_directory, const char* from, int to_directory, const char* to);
  virtual int link(int from_directory, const char* from, int to_directory, const char* to);
  virtual int unlink(int directory, const char* name, int flags = 0);
  virtual int lock(int file, int operation);  // flock(2)
  // Content and size of a file; the names in a directory.
  virtual int sync(int file);
  // Everything on the file system of this descriptor. It tells what went wrong since that was
  // opened, on Linux 5.8 and later; ENOSYS before.
  virtual int sync_file_system(int file);
};

// The one that is there.
Disk& real_disk();
// The same, where each file is synced by itself.
Disk& disk_without_syncfs();

// Disk::open() where the kernel has no openat2(2).
int open_name_by_name(int directory, const char* path, int flags, mode_t mode);

}  // namespace standby_clone
