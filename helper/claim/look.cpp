// look.cpp: the lock file as PostgreSQL judges it, and more: where its process works, and what of a server
// may be left or unseen.
#include "helper/claim/look.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/unique_fd.h"
#include "helper/claim/processes.h"
#include "helper/disk/directory.h"
#include "helper/disk/journal.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr char kControlFile[] = "/global/pg_control";

// DBState, in the words of pg_controldata.
constexpr const char* kStates[] = {"starting up",       "shut down",
                                   "shut down in recovery", "shutting down",
                                   "in crash recovery", "in archive recovery",
                                   "in production"};

bool was_shut_down(const Look& look) {
  return look.cluster && (look.cluster->state == ClusterState::kShutDown ||
                          look.cluster->state == ClusterState::kShutDownInRecovery);
}

// A clone at work holds its lock file with a flock that it takes before it writes into it: a question about
// one with a text in it is in nobody's way. Where there are no locks, the process tells.
bool holds_lock(const std::string& path, const LockFile& lock, const FileId& directory) {
  UniqueFd file(open((path + "/" + kLockFileName).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  if (flock(file.get(), LOCK_SH | LOCK_NB) == 0) return false;
  return errno == EWOULDBLOCK || standing_of(lock.pid, directory) != Standing::kGone;
}

void look_at_lock(const std::string& path, const FileId& directory, Look& look) {
  look.lock_file = read_if_there(path + "/" + kLockFileName);
  if (!look.lock_file) return;
  LockFile lock = LockFile::parse(*look.lock_file);
  if (lock.writer == LockFile::Writer::kClone) {
    if (holds_lock(path, lock, directory)) look.occupant = Occupant::kClone, look.pid = lock.pid;
    return;
  }
  Standing standing = standing_of(lock.pid, directory);
  // Among processes that are all seen, one that works elsewhere only has the number.
  if (standing == Standing::kGone ||
      (standing == Standing::kElsewhere && why_not_all_is_seen(path).empty()))
    return;
  look.pid = lock.pid;
  look.occupant = standing != Standing::kHere                      ? Occupant::kLockOwner
                  : lock.writer == LockFile::Writer::kSingleUser ? Occupant::kSingleUser
                                                                 : Occupant::kServer;
}

// Of a directory with a journal. pg_control has its name only in the last moment; where it has it
// without that, a run with --delta ended before its first change.
Holds holds_with_journal(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path + kControlFile, error)) return Holds::kUnfinishedClone;
  auto journal = Journal::read_if_there(path + "/" + kJournalName, Journal::Parts::kAllButFiles);
  return journal && journal->is_committing ? Holds::kCompleteClone : Holds::kCluster;
}

Holds holds_of(const std::string& path, const std::vector<std::string>& names) {
  auto holds = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (holds(kJournalName)) return holds_with_journal(path);
  bool has_first_traces_only = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name == kLockFileName || name == kLeftLockFileName || name == std::string(kJournalName) + ".new";
  });
  if (has_first_traces_only) return Holds::kEmpty;
  return holds("PG_VERSION") ? Holds::kCluster : Holds::kOther;
}

void look_at_cluster(const std::string& path, Look& look) {
  auto control = read_if_there(path + kControlFile);
  std::error_code error;
  look.is_standby = fs::exists(path + "/standby.signal", error);
  if (!control) return;
  look.control_file = *control;
  look.cluster = ControlFile::parse(*control);
  // The first field, in every version.
  if (control->size() >= sizeof(look.system_identifier))
    std::memcpy(&look.system_identifier, control->data(), sizeof(look.system_identifier));
}

std::string why_not_known_down(const std::string& path, const FileId& directory, const Look& look) {
  if (was_shut_down(look)) return "";
  if (auto workers = workers_in(directory); !workers.empty())
    return fmt::format("process {} ({}) works in that directory", workers.front().pid,
                       workers.front().name);
  return why_not_all_is_seen(path);
}

}  // namespace

Look look_at_directory(const std::string& path) {
  Look look;
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) fail_on_disk("look at directory", path, errno);
    return look;
  }
  if (!S_ISDIR(status.st_mode)) {
    look.holds = Holds::kNotADirectory;
    return look;
  }
  FileId directory{status.st_dev, status.st_ino, status.st_uid};
  look.is_ours = directory.owner == geteuid();
  std::vector<std::string> names = entries_of(path);
  look.is_mount_point = names.size() == 1 && names.front() == "lost+found";
  look_at_lock(path, directory, look);
  if (look.occupant == Occupant::kNobody && is_shared_memory_in_use(directory)) {
    look.occupant = Occupant::kOrphans;
    auto workers = workers_in(directory);
    if (!workers.empty()) look.pid = workers.front().pid;
  }
  look.holds = holds_of(path, names);
  if (look.holds == Holds::kCluster || look.holds == Holds::kCompleteClone) look_at_cluster(path, look);
  if (look.holds == Holds::kCluster && look.occupant == Occupant::kNobody)
    look.why_not_known_down = why_not_known_down(path, directory, look);
  return look;
}

std::string state_in_words(const Look& look) {
  auto state = look.cluster ? static_cast<std::size_t>(look.cluster->state) : std::size(kStates);
  return state < std::size(kStates) ? kStates[state] : "of an unknown state";
}

std::optional<Failure> refusal(const std::string& path, const Look& look, const Leave& leave) {
  auto refuse = [](std::string message, std::string hint) {
    return Failure(Kind::kTargetRefused, std::move(message), std::move(hint));
  };
  switch (look.occupant) {
    case Occupant::kNobody: break;
    case Occupant::kClone:
      return refuse(fmt::format("another clone is at work in \"{}\" (PID {})", path, look.pid),
                    "Wait for it, or stop it.");
    case Occupant::kServer:
      if (leave.to_update && leave.to_stop_server) break;
      return refuse(fmt::format("a PostgreSQL server runs in \"{}\" (PID {})", path, look.pid),
                    "Stop it, or choose another --pgdata.");
    case Occupant::kSingleUser:
      return refuse(fmt::format("a PostgreSQL server in single-user mode runs in \"{}\" (PID {})", path,
                                look.pid),
                    "End it, or choose another --pgdata.");
    case Occupant::kLockOwner:
      return refuse(fmt::format("the lock file \"{}/{}\" names process {}, which lives: a PostgreSQL "
                                "server may run there",
                                path, kLockFileName, look.pid),
                    "Stop that server. If you are sure that none runs there, on any host and in any "
                    "container, remove the lock file.");
    case Occupant::kOrphans:
      return refuse(fmt::format("processes of a PostgreSQL server still use \"{}\"{}, though its lock file "
                                "names none that lives",
                                path, look.pid != 0 ? fmt::format(" (PID {})", look.pid) : ""),
                    "End them first: what they still write would spoil the clone. PostgreSQL does not "
                    "start there either.");
  }
  if (!look.is_ours)
    return refuse(fmt::format("directory \"{}\" belongs to another operating system user", path),
                  "Run the clone as its owner: PostgreSQL starts in a directory of its own user only.");
  switch (look.holds) {
    case Holds::kNothing:
    case Holds::kEmpty:
    case Holds::kUnfinishedClone:
    case Holds::kCompleteClone: return std::nullopt;
    case Holds::kNotADirectory:
      return refuse(fmt::format("\"{}\" is not a directory", path), "Choose another --pgdata.");
    case Holds::kCluster:
      if (!leave.to_update)
        return refuse(fmt::format("target directory \"{}\" is not empty", path),
                      "It holds a PostgreSQL cluster. If that is an older state of the donor's cluster, "
                      "--delta makes it current; otherwise choose an empty directory.");
      break;
    case Holds::kOther:
      return refuse(fmt::format("target directory \"{}\" is not empty", path),
                    look.is_mount_point ? "It is a mount point: use a directory below it."
                                        : "Choose an empty directory.");
  }
  if (look.control_file.empty())
    return refuse(fmt::format("directory \"{}\" has no global/pg_control: nothing says of which cluster "
                              "it is",
                              path),
                  "If nothing in it is needed, empty it, then run the clone again.");
  if (!look.cluster)
    return refuse(fmt::format("\"{}{}\" is damaged, or of a server that pg_standby_clone does not know",
                              path, kControlFile),
                  "If nothing in that directory is needed, empty it, then run the clone again.");
  if (look.why_not_known_down.empty() || leave.to_assume_stopped) return std::nullopt;
  return refuse(fmt::format("it is not known that no PostgreSQL server runs in \"{}\": its pg_control says "
                            "\"{}\", and {}",
                            path, state_in_words(look), look.why_not_known_down),
                "Shut that server down cleanly; or make sure that none runs there, on any host and in any "
                "container, and give --assume-stopped (to an agent, on its own command line).");
}

std::optional<RunningServer> running_server(const std::string& data_directory) {
  struct stat status;
  if (stat(data_directory.c_str(), &status) != 0) return std::nullopt;
  auto lock = read_if_there(data_directory + "/" + kLockFileName);
  auto server = lock ? server_in_lock(*lock) : std::nullopt;
  FileId directory{status.st_dev, status.st_ino, status.st_uid};
  if (!server || standing_of(server->pid, directory) != Standing::kHere) return std::nullopt;
  return server;
}

const char* name_of(DirectoryState state) {
  switch (state) {
    case DirectoryState::kEmpty: return "empty";
    case DirectoryState::kUnfinishedClone: return "unfinished clone";
    case DirectoryState::kStoppedStandby: return "stopped standby";
    case DirectoryState::kRunningStandby: return "running standby";
    case DirectoryState::kStoppedPrimary: return "stopped primary";
    case DirectoryState::kRunningPrimary: return "running primary";
    case DirectoryState::kForeign: return "foreign";
    case DirectoryState::kNotEmpty: return "not empty";
    case DirectoryState::kUnreadable: return "unreadable";
  }
  return "unreadable";
}

DirectoryState state_of_directory(const std::string& path, std::uint64_t system_identifier) {
  try {
    return state_of(look_at_directory(path), system_identifier);
  } catch (const Failure&) {
    return DirectoryState::kUnreadable;
  }
}

DirectoryState state_of(const Look& look, std::uint64_t system_identifier) {
  switch (look.holds) {
    case Holds::kNothing:
    case Holds::kEmpty: return DirectoryState::kEmpty;
    case Holds::kUnfinishedClone: return DirectoryState::kUnfinishedClone;
    case Holds::kOther:
    case Holds::kNotADirectory: return DirectoryState::kNotEmpty;
    case Holds::kCompleteClone:
    case Holds::kCluster: break;
  }
  if (look.system_identifier == 0) return DirectoryState::kNotEmpty;
  if (system_identifier != 0 && look.system_identifier != system_identifier)
    return DirectoryState::kForeign;
  bool is_running = look.occupant != Occupant::kNobody && look.occupant != Occupant::kClone;
  if (look.is_standby)
    return is_running ? DirectoryState::kRunningStandby : DirectoryState::kStoppedStandby;
  return is_running ? DirectoryState::kRunningPrimary : DirectoryState::kStoppedPrimary;
}

}  // namespace standby_clone
