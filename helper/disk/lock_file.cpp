// lock_file.cpp: the lines of postmaster.pid: process, directory, time, port, ...; the eighth is the status.
#include "helper/disk/lock_file.h"

#include <cstdlib>
#include <fmt/format.h>

namespace standby_clone {
namespace {

constexpr int kPortLine = 3, kStatusLine = 7;

std::string line_of(std::string_view text, int index) {
  for (; index > 0; --index) {
    auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string line(text.substr(0, text.find('\n')));
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace

LockFile LockFile::parse(std::string_view content) {
  LockFile lock;
  lock.pid = std::strtol(line_of(content, 0).c_str(), nullptr, 10);
  if (lock.pid < 0)
    lock.writer = line_of(content, kPortLine) == "0" ? Writer::kClone : Writer::kSingleUser;
  lock.pid = std::labs(lock.pid);
  lock.status = line_of(content, kStatusLine);
  return lock;
}

std::string lock_file_of_clone(long pid, const std::string& directory, long started) {
  return fmt::format("{}\n{}\n{}\n0\n", -pid, directory, started);
}

std::optional<RunningServer> server_in_lock(std::string_view lock) {
  LockFile file = LockFile::parse(lock);
  if (file.pid == 0 || file.writer != LockFile::Writer::kPostmaster) return std::nullopt;
  return RunningServer{file.pid, file.status};
}

}  // namespace standby_clone
