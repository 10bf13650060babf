// faulty_disk.h: for tests: a disk that loses what was not synced when its power is cut, before any
// call one likes. Files are written where they are written; what of them would have survived is known
// from the syncs alone.
#pragma once

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <limits>
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

  // The power is cut before this one of the calls that change, lock or sync something, counted from 0: that one and all
  // that follow fail.
  int cut_before = std::numeric_limits<int>::max();
  bool is_off() const { return calls_ > cut_before; }
  bool has_file_systems = true;  // else sync_file_system() is what it is on old Linux

  int open(int directory, const char* path, int flags, mode_t mode) override {
    if ((flags & O_CREAT) != 0 && is_cut()) return -1;
    int file = Disk::open(directory, path, flags, mode);
    struct stat status {};
    std::lock_guard lock(mutex_);
    // The number may have been another file's.
    if ((flags & O_EXCL) != 0 && file >= 0 && fstat(file, &status) == 0) contents_.erase(status.st_ino);
    return file;
  }
  ssize_t write(int file, std::span<const std::byte> bytes, off_t at) override {
    return is_cut() ? -1 : Disk::write(file, bytes, at);
  }
  int truncate(int file, off_t length) override {
    return is_cut() ? -1 : Disk::truncate(file, length);
  }
  int make_directory(int directory, const char* name, mode_t mode) override {
    return is_cut() ? -1 : Disk::make_directory(directory, name, mode);
  }
  int make_link(const char* leads_to, int directory, const char* name) override {
    return is_cut() ? -1 : Disk::make_link(leads_to, directory, name);
  }
  int rename(int from_directory, const char* from, int to_directory, const char* to) override {
    return is_cut() ? -1 : Disk::rename(from_directory, from, to_directory, to);
  }
  int link(int from_directory, const char* from, int to_directory, const char* to) override {
    return is_cut() ? -1 : Disk::link(from_directory, from, to_directory, to);
  }
  int lock(int file, int operation) override { return is_cut() ? -1 : Disk::lock(file, operation); }
  int unlink(int directory, const char* name, int flags) override {
    return is_cut() ? -1 : Disk::unlink(directory, name, flags);
  }
  int sync(int file) override {
    if (is_cut()) return -1;
    std::lock_guard lock(mutex_);
    struct stat status {};
    if (fstat(file, &status) != 0) throw std::runtime_error("fstat");
    std::string path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file));
    if (S_ISDIR(status.st_mode))
      take_names(path);
    else
      contents_[status.st_ino] = content_of(path);
    return 0;
  }
  int sync_file_system(int) override {
    if (!has_file_systems) {
      errno = ENOSYS;
      return -1;
    }
    if (is_cut()) return -1;
    std::lock_guard lock(mutex_);
    take_all();
    return 0;
  }
  int calls() const { return calls_; }

  // What of the names and of the contents that were never synced has reached the disk all the same.
  enum class Luck { kNone, kNames, kAll };

  // The disk after the power has come back, below `to`. A file whose name is there and whose content is not
  // is empty.
  void restore(const std::string& to, Luck luck = Luck::kNone) {
    std::lock_guard lock(mutex_);
    if (luck == Luck::kAll) return std::filesystem::copy(root_, to, kAsTheyAre);
    if (luck == Luck::kNames) take_all_names();
    restore(root_, to);
  }

 private:
  static constexpr auto kAsTheyAre =
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;

  struct Name {
    ino_t inode = 0;
    bool is_directory = false;
    std::string leads_to;  // of a link
  };

  bool is_cut() {
    if (calls_++ < cut_before) return false;
    errno = EIO;
    return true;
  }
  void take_names(const std::string& path) {
    auto& names = names_[path];
    names.clear();
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      struct stat status {};
      if (lstat(entry.path().c_str(), &status) != 0) throw std::runtime_error("lstat");
      names[entry.path().filename()] = {
          status.st_ino, S_ISDIR(status.st_mode),
          S_ISLNK(status.st_mode) ? std::filesystem::read_symlink(entry.path()).string() : ""};
    }
  }
  void take_all_names() {
    take_names(root_);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_))
      if (entry.is_directory() && !entry.is_symlink()) take_names(entry.path());
  }
  void take_all() {
    take_all_names();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      struct stat status {};
      if (lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
        contents_[status.st_ino] = content_of(entry.path());
    }
  }
  void restore(const std::string& from, const std::string& to) {
    std::filesystem::create_directories(to);
    for (const auto& [name, entry] : names_[from]) {
      if (entry.is_directory)
        restore(from + "/" + name, to + "/" + name);
      else if (!entry.leads_to.empty())
        std::filesystem::create_symlink(entry.leads_to, to + "/" + name);
      else
        put_file(to + "/" + name, contents_[entry.inode]);
    }
  }

  const std::string root_;
  std::mutex mutex_;
  std::atomic<int> calls_{0};
  std::map<std::string, std::map<std::string, Name>> names_;  // durable, by directory
  std::map<ino_t, std::string> contents_;                     // durable
};

}  // namespace standby_clone
