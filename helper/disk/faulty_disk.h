// faulty_disk.h: for tests: a disk that loses everything that was not synced at the moment its
// power is cut. Files are written where they are written; what of them would have survived is
// known from the syncs alone.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/stat.h>

#include "helper/disk/disk.h"
#include "helper/disk/scratch_directory.h"

namespace standby_clone {

class FaultyDisk : public Disk {
 public:
  // What is in `root` by now is durable.
  explicit FaultyDisk(std::string root) : root_(std::move(root)) { take_all(); }

  // Called before each sync, with its number from 0 on; throws to cut the power.
  std::function<void(int)> before_sync = [](int) {};
  bool has_file_systems = true;  // else sync_file_system() is what it is on old Linux

  void sync_file(int file, const std::string&) override {
    std::lock_guard lock(mutex_);
    before_sync(syncs_++);
    struct stat status {};
    if (fstat(file, &status) != 0) throw std::runtime_error("fstat");
    std::string path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file));
    contents_[status.st_ino] = content_of(path);
  }
  void sync_directory(const std::string& path) override {
    std::lock_guard lock(mutex_);
    before_sync(syncs_++);
    take_names(std::filesystem::canonical(path));
  }
  bool sync_file_system(const std::string&) override {
    std::lock_guard lock(mutex_);
    if (!has_file_systems) return false;
    before_sync(syncs_++);
    take_all();
    return true;
  }
  int syncs() const { return syncs_; }

  // The disk after the power has come back, below `to`. A file whose name is durable and whose
  // content is not is there and empty.
  void restore(const std::string& to) {
    std::lock_guard lock(mutex_);
    restore(root_, to);
  }

 private:
  struct Name {
    ino_t inode = 0;
    bool is_directory = false;
  };

  void take_names(const std::string& path) {
    auto& names = names_[path];
    names.clear();
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      struct stat status {};
      if (lstat(entry.path().c_str(), &status) != 0) throw std::runtime_error("lstat");
      names[entry.path().filename()] = {status.st_ino, S_ISDIR(status.st_mode)};
    }
  }
  void take_all() {
    take_names(root_);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      if (entry.is_directory()) take_names(entry.path());
      struct stat status {};
      if (entry.is_regular_file() && lstat(entry.path().c_str(), &status) == 0)
        contents_[status.st_ino] = content_of(entry.path());
    }
  }
  void restore(const std::string& from, const std::string& to) {
    std::filesystem::create_directories(to);
    for (const auto& [name, entry] : names_[from]) {
      if (entry.is_directory)
        restore(from + "/" + name, to + "/" + name);
      else
        put_file(to + "/" + name, contents_[entry.inode]);
    }
  }

  const std::string root_;
  std::mutex mutex_;
  int syncs_ = 0;
  std::map<std::string, std::map<std::string, Name>> names_;  // durable, by directory
  std::map<ino_t, std::string> contents_;                     // durable
};

}  // namespace standby_clone
