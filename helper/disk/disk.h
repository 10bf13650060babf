// disk.h: the steps by which bytes become durable. They are an interface because a test
// must stand in: a disk that loses all that was not synced proves the order of the journal
// (faulty_disk.h).
#pragma once

#include <string>

namespace standby_clone {

class Disk {
 public:
  virtual ~Disk() = default;
  // The content and size of an open file. Paths are absolute, for messages.
  virtual void sync_file(int file, const std::string& path) = 0;
  // The names in a directory.
  virtual void sync_directory(const std::string& path) = 0;
  // All of the file system that holds `path`; false where the system would not report an
  // error of it (Linux before 5.8).
  virtual bool sync_file_system(const std::string& path) = 0;
};

// The one that is there.
Disk& real_disk();

}  // namespace standby_clone
