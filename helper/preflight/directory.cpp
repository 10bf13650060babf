// directory.cpp: looking, without a trace.
#include "helper/preflight/directory.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"
#include "helper/disk/directory.h"
#include "helper/disk/journal.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "postmaster.pid";

void look_at_lock(const std::string& path, DirectoryLook& look) {
  UniqueFd lock(open((path + "/" + kLockName).c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock) return;
  char text[32] = "";
  [[maybe_unused]] auto got = ::read(lock.get(), text, sizeof(text) - 1);
  long pid = std::strtol(text, nullptr, 10);
  // A clone at work holds the file with a flock, and writes its process id negative.
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) look.clone_pid = std::labs(pid);
  else if (pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM))
    look.server_pid = pid;
}

// Of a directory with a journal. pg_control has its name only in the last moment; where it has it
// without that, a run with --delta ended before its first change.
Holds state_of(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path + "/global/pg_control", error)) return Holds::kUnfinishedClone;
  std::string journal = path + "/" + kJournalName;
  return Journal::parse(read_whole(journal), journal).is_committing ? Holds::kCompleteClone
                                                                    : Holds::kCluster;
}

}  // namespace

DirectoryLook look_at_directory(const std::string& path) {
  DirectoryLook look;
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) fail_on_disk("look at directory", path, errno);
    return look;
  }
  if (!S_ISDIR(status.st_mode)) {
    look.holds = Holds::kNotADirectory;
    return look;
  }
  look.is_ours = status.st_uid == geteuid();
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) fail_on_disk("read directory", path, error.value());
  auto holds = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  look_at_lock(path, look);
  // A clone that died before its first line in the journal has left at most these.
  bool has_first_traces_only = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name == kLockName || name == std::string(kJournalName) + ".new";
  });
  if (holds(kJournalName))
    look.holds = state_of(path);
  else if (has_first_traces_only) look.holds = Holds::kEmpty;
  else look.holds = holds("PG_VERSION") ? Holds::kCluster : Holds::kOther;
  look.is_mount_point = names.size() == 1 && names.front() == "lost+found";
  return look;
}

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
