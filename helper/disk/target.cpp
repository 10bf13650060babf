// target.cpp: taking a data directory, and giving it back. What lies in it is in layout.cpp.
#include "helper/disk/target.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/disk/directory.h"
#include "protocol/limits.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "postmaster.pid";
constexpr char kControlFile[] = "global/pg_control";
// pg_control of the old life, once its name is taken away; goes with the first layout.
constexpr char kControlFileOld[] = "global/pg_standby_clone.old_pg_control";

// The process of a lock file's first line; negative where it is no postmaster's.
long pid_in(const std::string& lock) { return std::strtol(lock.c_str(), nullptr, 10); }

bool is_alive(long pid) {
  return pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

bool exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace

Target::Target(const TargetOptions& options)
    : options_(options), disk_(options.disk != nullptr ? options.disk : &real_disk()) {
  struct stat status;
  bool existed = stat(path().c_str(), &status) == 0;
  if (!existed && errno != ENOENT) fail_on_disk("look at directory", path(), errno);
  if (existed && !S_ISDIR(status.st_mode))
    fail(Kind::kTargetRefused, "\"" + path() + "\" is not a directory",
         "Choose another --pgdata.");
  if (!existed) make_directories(path());
  try {
    directory_.reset(open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_) fail_on_disk("open directory", path(), errno);
    inspect();
    if (was_complete()) return;
    if (existed && status.st_uid != geteuid())
      fail(Kind::kTargetRefused,
           fmt::format("directory \"{}\" belongs to another operating system user", path()),
           "Run the clone as its owner: PostgreSQL starts in a directory of its own user only.");
    if (options_.wal_directory.starts_with(path() + "/"))
      fail(Kind::kTargetRefused,
           fmt::format("WAL directory \"{}\" lies inside the data directory",
                       options_.wal_directory),
           "Choose a --waldir outside of it.");
    if (state_ == State::kCluster) return;
    take_lock();
    if (state_ == State::kFresh) {
      journal_.directories.push_back({path(), existed ? Origin::kEmpty : Origin::kMade, ""});
      rewrite_journal();
      if (!options_.wal_directory.empty())
        take_directory(options_.wal_directory, "pg_wal", "WAL directory");
    } else {
      journal_file_ = JournalFile::reopen(path(), journal_.size, *disk_, syncs());
    }
  } catch (...) {
    if (has_lock_ && state_ == State::kFresh)
      remove_what_was_made();
    else if (has_lock_)
      unlinkat(directory_.get(), kLockName, 0);
    else if (!existed)
      rmdir(path().c_str());
    throw;
  }
}

Target::~Target() {
  if (has_lock_) unlinkat(directory_.get(), kLockName, 0);
}

// What the directory holds decides: empty, ours, a cluster, or somebody's.
void Target::inspect() {
  auto names = entries_of(path());
  auto holds = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  check_lock();
  if (holds(kJournalName)) {
    std::string where = absolute(kJournalName);
    return inspect_ours(Journal::parse(read_whole(where), where));
  }
  // A clone that died before its first line in the journal has left at most these.
  auto is_first_trace = [](const std::string& name) {
    return name == kLockName || name == std::string(kJournalName) + ".new";
  };
  if (std::all_of(names.begin(), names.end(), is_first_trace)) {
    for (const auto& name : names) remove_file(name);
    return;
  }
  if (holds("PG_VERSION") && options_.delta) return inspect_cluster();
  fail(Kind::kTargetRefused, fmt::format("target directory \"{}\" is not empty", path()),
       holds("PG_VERSION")
           ? "It holds a PostgreSQL cluster. If that is an older state of the donor's cluster, --delta "
             "makes it current; otherwise choose an empty directory."
       : names.size() == 1 && names.front() == "lost+found"
           ? "It is a mount point: use a directory below it."
           : "Choose an empty directory.");
}

// Refuses a directory somebody works in.
void Target::check_lock() const {
  if (!exists(absolute(kLockName))) return;
  long pid = pid_in(read_whole(absolute(kLockName)));
  UniqueFd held(open(absolute(kLockName).c_str(), O_RDONLY | O_CLOEXEC));
  bool is_ours_at_work = held && flock(held.get(), LOCK_EX | LOCK_NB) != 0;
  if (is_ours_at_work)
    fail(Kind::kTargetRefused,
         fmt::format("another clone is at work in \"{}\" (PID {})", path(), std::labs(pid)),
         "Wait for it, or stop it.");
  if (pid > 0 && is_alive(pid))
    fail(Kind::kTargetRefused,
         fmt::format("a PostgreSQL server runs in \"{}\" (PID {})", path(), pid),
         "Stop it, or choose another --pgdata.");
}

void Target::inspect_ours(const Journal& journal) {
  bool has_control_file = exists(absolute(kControlFile));
  if (journal.is_committing && has_control_file) {
    // The name is given only after all else is durable; the journal alone is left.
    journal_ = journal;
    has_lock_ = exists(absolute(kLockName));
    state_ = State::kComplete;
    return commit();
  }
  // A copied or moved directory brings along a journal that speaks of another one's
  // tablespaces, which are not ours to touch.
  std::error_code error;
  const std::string& home = journal.directories.front().path;
  if (!fs::equivalent(home, path(), error))
    fail(Kind::kTargetRefused,
         fmt::format("directory \"{}\" holds a copy of the unfinished clone in \"{}\"", path(),
                     home),
         "If nothing in it is needed, empty it, then run the clone again.");
  if (has_control_file) {
    // A run with --delta that ended before its first change; a server may have run since.
    if (options_.delta) return inspect_cluster();
    fail(Kind::kTargetRefused, fmt::format("target directory \"{}\" is not empty", path()),
         "It holds a PostgreSQL cluster that a run with --delta has not changed yet. Use --delta "
         "again to make it current.");
  }
  journal_ = journal;
  state_ = State::kResumed;
}

void Target::inspect_cluster() {
  std::string where = absolute(kControlFile);
  if (!exists(where))
    fail(Kind::kTargetRefused,
         fmt::format("directory \"{}\" has no global/pg_control: nothing says of which cluster it is",
                     path()),
         "If nothing in it is needed, empty it, then run the clone again.");
  cluster_ = ControlFile::parse(read_whole(where));
  if (!cluster_)
    fail(Kind::kTargetRefused,
         fmt::format("\"{}\" is damaged, or of a server that pg_standby_clone does not know", where),
         "If nothing in that directory is needed, empty it, then run the clone again.");
  state_ = State::kCluster;
  find_links();
}

// What the links of the cluster lead to: the confirmed map, once the donor has said that none
// of it is its own (trap 87).
void Target::find_links() {
  journal_ = {};
  journal_.directories.push_back({path(), Origin::kFound, ""});
  std::vector<std::string> links;
  if (options_.wal_directory.empty()) links.push_back("pg_wal");
  if (exists(absolute("pg_tblspc")))
    for (const auto& name : entries_of(absolute("pg_tblspc"))) links.push_back("pg_tblspc/" + name);
  for (const auto& link : links) {
    std::error_code error;
    fs::path leads_to = fs::read_symlink(absolute(link), error);
    struct stat status;
    if (error || !leads_to.is_absolute() || stat(leads_to.c_str(), &status) != 0 ||
        !S_ISDIR(status.st_mode))
      continue;  // not a link, or to nothing: the layout replaces it
    // As on the donor, and to go elsewhere here.
    bool is_mapped = std::any_of(
        options_.tablespace_mapping.begin(), options_.tablespace_mapping.end(),
        [&](const auto& mapping) { return mapping.first == leads_to && mapping.second != leads_to; });
    if (is_mapped) continue;
    journal_.directories.push_back({leads_to.string(), Origin::kFound, link});
  }
}

void Target::put_probes(const std::string& name) {
  for (const auto& found : journal_.directories) {
    std::string probe = found.path + "/" + protocol::kProbePrefix + name;
    UniqueFd file(open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) fail_on_disk("create file", probe, errno);
  }
}

void Target::remove_probes(const std::string& name) noexcept {
  for (const auto& found : journal_.directories)
    unlink((found.path + "/" + protocol::kProbePrefix + name).c_str());
}

// The journal first: a directory whose pg_control has no name and that has no journal would be
// nobody's. The probes of earlier runs that died go as well.
void Target::claim() {
  check_lock();
  remove_file(kLockName);  // of a server that crashed
  take_lock();
  rewrite_journal();
  for (const auto& taken : journal_.directories)
    for (const auto& name : entries_of(taken.path))
      if (name.starts_with(protocol::kProbePrefix)) unlink((taken.path + "/" + name).c_str());
  rename_file(kControlFile, kControlFileOld);
  sync_directory("global");
}

// In the server's format, with a negative process id, as a server in single-user mode
// writes it: both a server and pg_ctl know what it means. The flock tells a helper at work
// from a leftover whose process id has gone to another.
void Target::take_lock() {
  if (state_ == State::kResumed) remove_file(kLockName);
  lock_.reset(openat(directory_.get(), kLockName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!lock_ && errno == EEXIST)
    fail(Kind::kTargetRefused,
         fmt::format("somebody else has just taken directory \"{}\"", path()),
         "Wait for that server or clone, or choose another --pgdata.");
  if (!lock_) fail_on_disk("create file", absolute(kLockName), errno);
  has_lock_ = true;
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
    fail_on_disk("lock file", absolute(kLockName), errno);
  std::string text = fmt::format("{}\n{}\n{}\n0\n", -static_cast<long>(getpid()), path(),
                                 static_cast<long>(std::time(nullptr)));
  if (::write(lock_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail_on_disk("write file", absolute(kLockName), errno);
}

void Target::begin_session(const SessionRecord& session) {
  journal_.session = session;
  journal_.files.clear();
  journal_.is_committing = false;
  rewrite_journal();
}

void Target::rewrite_journal() {
  JournalRecords records;
  for (const auto& taken : journal_.directories) records.directory(taken);
  if (journal_.session) records.session(*journal_.session);
  std::lock_guard lock(journal_mutex_);
  journal_file_ = JournalFile::create(path(), records, *disk_, syncs());
}

void Target::append_to_journal(const JournalRecords& records) const {
  std::lock_guard lock(journal_mutex_);
  journal_file_.append(records);
}

void Target::begin_commit() {
  JournalRecords records;
  records.committing();
  append_to_journal(records);
}

void Target::commit() {
  remove_file(kJournalName);
  if (has_lock_) {
    remove_file(kLockName);
    has_lock_ = false;
  }
  sync_directory("");
}

void Target::remove_what_was_made() {
  Journal made = journal_;
  for (std::size_t index = made.directories.size(); index-- > 1;) {
    const auto& directory = made.directories[index];
    if (directory.origin == Origin::kFound) continue;
    remove_content(directory.path);
    if (directory.origin == Origin::kMade) rmdir(directory.path.c_str());
  }
  // pg_control first of all it cannot be: it has no name yet. Journal and lock go last.
  std::error_code error;
  for (const auto& name : entries_of(path())) {
    if (name == kJournalName || name == kLockName) continue;
    fs::remove_all(absolute(name), error);
    if (error) fail_on_disk("remove", absolute(name), error.value());
  }
  remove_file(kJournalName);
  if (has_lock_) remove_file(kLockName);
  has_lock_ = false;
  if (!made.directories.empty() && made.directories.front().origin == Origin::kMade)
    rmdir(path().c_str());
}

std::vector<std::string> Target::own_directories() const {
  std::vector<std::string> own;
  for (const auto& directory : journal_.directories) own.push_back(directory.path);
  return own;
}

bool Target::is_own_directory(const std::string& where) const {
  return std::any_of(journal_.directories.begin(), journal_.directories.end(),
                     [&](const auto& directory) { return directory.path == where; });
}

std::string Target::absolute(const std::string& name) const {
  return name.empty() ? path() : path() + "/" + name;
}

}  // namespace standby_clone
