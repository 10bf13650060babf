// directory.cpp: reading, making and emptying directories.
#include "helper/disk/directory.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"

namespace standby_clone {

namespace fs = std::filesystem;

std::vector<std::string> entries_of(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) fail_on_disk("read directory", path, error.value());
  return names;
}

std::optional<std::string> read_if_there(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) fail_on_disk("open file", path, errno);
  std::string content;
  char buffer[64 * 1024];
  while (true) {
    ssize_t got = ::read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_disk("read file", path, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

std::string read_whole(const std::string& path) {
  auto content = read_if_there(path);
  if (!content) fail_on_disk("open file", path, ENOENT);
  return *content;
}

void make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    bool is_last = slash == std::string::npos;
    if (mkdir(part.c_str(), is_last ? 0700 : 0777) != 0 && errno != EEXIST)
      fail_on_disk("create directory", part, errno);
    if (is_last) return;
  }
}

void remove_content(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  for (const auto& name : entries_of(path)) {
    fs::remove_all(fs::path(path) / name, error);
    if (error) fail_on_disk("remove", path + "/" + name, error.value());
  }
}

void sync_tree(const std::string& root, Disk& disk) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    auto status = at->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) disk.sync_directory(at->path().string());
    if (!fs::is_regular_file(status)) continue;
    UniqueFd file(open(at->path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) fail_on_disk("open", at->path().string(), errno);
    disk.sync_file(file.get(), at->path().string());
  }
  if (error) fail_on_disk("read directory", root, error.value());
  disk.sync_directory(root);
}

}  // namespace standby_clone
