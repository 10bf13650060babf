// claim.cpp: the lock is a flock on the directory itself: it needs no file, and is gone with its holder.
#include "helper/claim/claim.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/disk/directory.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_to_second(const std::string& path) {
  Look look = look_at_directory(path);
  fail(Kind::kTargetRefused,
       fmt::format("another clone is at work in \"{}\"{}", path,
                   look.pid != 0 ? fmt::format(" (PID {})", look.pid) : ""),
       "Wait for it, or stop it.");
}

bool is_still(int directory, const std::string& path) {
  struct stat opened, there;
  return fstat(directory, &opened) == 0 && stat(path.c_str(), &there) == 0 &&
         opened.st_dev == there.st_dev && opened.st_ino == there.st_ino;
}

UniqueFd open_and_lock(Disk& disk, const std::string& path,
                       const std::function<void(const std::string&)>& warn) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) fail_on_disk("open directory", path, errno);
  while (disk.lock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) refuse_to_second(path);
    warn(fmt::format("the file system of \"{}\" does not lock directories ({}): postmaster.pid alone keeps "
                     "other clones out",
                     path, std::strerror(errno)));
    break;
  }
  // The clone that had it may have just removed it.
  if (!is_still(directory.get(), path)) refuse_to_second(path);
  return directory;
}

// Directories that are made on the way go again if the last of them is refused.
struct Maker {
  Maker(Disk& disk, const TargetOptions& options)
      : disk_(disk), path_(options.data_directory), existed_(fs::exists(path_)) {
    if (!existed_) make_directories(disk_, path_, options.sync);
  }
  ~Maker() {
    if (!existed_ && !is_kept_) disk_.unlink(AT_FDCWD, path_.c_str(), AT_REMOVEDIR);
  }

  Disk& disk_;
  const std::string& path_;
  const bool existed_;
  bool is_kept_ = false;
};

Journal journal_of(const std::string& path, Journal::Parts parts = Journal::Parts::kAllButFiles) {
  return Journal::read(path + "/" + kJournalName, parts);
}

// A copied or moved directory brings along a journal that speaks of another one's tablespaces, which
// are not ours to touch.
void check_is_at_home(const Journal& journal, const std::string& path) {
  std::error_code error;
  const std::string& home = journal.directories.front().path;
  if (fs::equivalent(home, path, error)) return;
  fail(Kind::kTargetRefused,
       fmt::format("directory \"{}\" holds a copy of the unfinished clone in \"{}\"", path, home),
       "If nothing in it is needed, empty it, then run the clone again.");
}

Found found_in(const std::string& path, const Look& look) {
  Found found;
  found.lock_file = look.lock_file;
  switch (look.holds) {
    case Holds::kUnfinishedClone:
      found.state = Found::State::kResumed;
      found.journal = journal_of(path, Journal::Parts::kAll);
      check_is_at_home(found.journal, path);
      break;
    case Holds::kCompleteClone:
      found.state = Found::State::kComplete;
      found.journal = journal_of(path);
      // A server may have run since, and left its own.
      if (look.lock_file && LockFile::parse(*look.lock_file).writer != LockFile::Writer::kClone)
        found.lock_file.reset();
      break;
    case Holds::kCluster:
      found.state = Found::State::kCluster;
      found.cluster = look.cluster;
      if (fs::exists(path + "/" + kJournalName)) check_is_at_home(journal_of(path), path);
      break;
    default: break;
  }
  return found;
}

}  // namespace

std::unique_ptr<Target> open_target(const TargetOptions& options, const Leave& leave,
                                    const std::function<void(const std::string&)>& warn) {
  const std::string& path = options.data_directory;
  if (auto refused = refusal(path, look_at_directory(path), leave)) throw *refused;
  Disk& disk = disk_of(options);
  Maker maker(disk, options);
  UniqueFd directory = open_and_lock(disk, path, warn);
  Look look = look_at_directory(path);
  if (auto refused = refusal(path, look, leave)) throw *refused;
  Found found = found_in(path, look);
  found.existed = maker.existed_;
  found.directory = std::move(directory);
  auto target = std::make_unique<Target>(options, std::move(found));
  maker.is_kept_ = true;
  return target;
}

std::unique_ptr<Target> open_target(const TargetOptions& options) {
  return open_target(options, {.to_update = options.delta}, [](const std::string&) {});
}

void claim_cluster(Target& target, const Leave& leave, const std::string& judged) {
  Look look = look_at_directory(target.path());
  if (auto refused = refusal(target.path(), look, leave)) throw *refused;
  target.claim(look.lock_file, judged.empty() ? look.control_file : judged);
}

}  // namespace standby_clone
