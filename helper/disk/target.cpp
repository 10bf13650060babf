// target.cpp: taking, filling and giving back a data directory.
#include "helper/disk/target.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/size.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "postmaster.pid";

std::vector<std::string> entries_of(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) fail_on_disk("read directory", path, error.value());
  return names;
}

std::string read_whole(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
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

void fsync_or_fail(int fd, const std::string& path) {
  if (fsync(fd) != 0) fail_on_disk("fsync", path, errno);
}

void fsync_directory(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) fail_on_disk("open directory", path, errno);
  fsync_or_fail(directory.get(), path);
}

// Like mkdir -p; the last directory gets mode 0700.
void make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    bool is_last = slash == std::string::npos;
    if (mkdir(part.c_str(), is_last ? 0700 : 0777) != 0 && errno != EEXIST)
      fail_on_disk("create directory", part, errno);
    if (is_last) return;
  }
}

// Content only; never through a link.
void remove_content(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  for (const auto& name : entries_of(path)) {
    fs::remove_all(fs::path(path) / name, error);
    if (error) fail_on_disk("remove", path + "/" + name, error.value());
  }
}

// syncfs() reports write errors from Linux 5.8 on; before, only fsync() does.
bool syncfs_reports_errors() {
  utsname name{};
  int major = 0, minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 8);
}

void fsync_tree(const std::string& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    auto status = at->symlink_status(error);
    if (error) break;
    if (!fs::is_regular_file(status) && !fs::is_directory(status)) continue;
    UniqueFd file(open(at->path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) fail_on_disk("open", at->path().string(), errno);
    fsync_or_fail(file.get(), at->path().string());
  }
  if (error) fail_on_disk("read directory", root, error.value());
  fsync_directory(root);
}

// The process of a lock file's first line; negative where it is no postmaster's.
long pid_in(const std::string& lock) { return std::strtol(lock.c_str(), nullptr, 10); }

bool is_alive(long pid) {
  return pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

}  // namespace

Target::Target(const TargetOptions& options) : options_(options) {
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
    if (was_complete_) return;
    if (existed && status.st_uid != geteuid())
      fail(Kind::kTargetRefused,
           fmt::format("directory \"{}\" belongs to another operating system user", path()),
           "Run the clone as its owner: PostgreSQL starts in a directory of its own user only.");
    journal_.directories.insert(journal_.directories.begin(), {path(), existed || started_over_});
    take_lock();
    write_journal();
    if (!options_.wal_directory.empty()) {
      if (options_.wal_directory.starts_with(path() + "/"))
        fail(Kind::kTargetRefused,
             fmt::format("WAL directory \"{}\" lies inside the data directory",
                         options_.wal_directory),
             "Choose a --waldir outside of it.");
      take_directory(options_.wal_directory, "WAL directory");
    }
  } catch (...) {
    if (has_lock_) {
      remove_what_was_made();
    } else if (!existed) {
      rmdir(path().c_str());
    }
    throw;
  }
}

Target::~Target() {
  if (has_lock_) unlinkat(directory_.get(), kLockName, 0);
}

// What the directory holds decides: empty, ours, or somebody's.
void Target::inspect() {
  auto names = entries_of(path());
  auto holds = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (holds(kLockName)) {
    std::string lock = read_whole(absolute(kLockName));
    long pid = pid_in(lock);
    UniqueFd held(open(absolute(kLockName).c_str(), O_RDONLY | O_CLOEXEC));
    bool is_ours_at_work = held && flock(held.get(), LOCK_EX | LOCK_NB) != 0;
    if (is_ours_at_work)
      fail(Kind::kTargetRefused,
           fmt::format("another clone is at work in \"{}\" (PID {})", path(), std::labs(pid)),
           "Wait for it, or stop it.");
    if (pid > 0 && is_alive(pid))
      fail(Kind::kTargetRefused,
           fmt::format("a PostgreSQL server runs in \"{}\" (PID {})", path(), pid),
           "Stop it and empty the directory, or choose another --pgdata.");
  }
  if (holds(kJournalName)) {
    Journal journal = Journal::from_text(read_whole(absolute(kJournalName)), absolute(kJournalName));
    if (fs::exists(absolute("global/pg_control"))) {
      // The name is given only after all else is durable; the journal alone is left.
      journal_ = journal;
      has_lock_ = holds(kLockName);
      was_complete_ = true;
      commit();
      return;
    }
    // A copied or moved directory brings along a journal that speaks of another one's
    // tablespaces, which are not ours to empty.
    std::error_code error;
    const std::string& home = journal.directories.front().path;
    if (!fs::equivalent(home, path(), error))
      fail(Kind::kTargetRefused,
           fmt::format("directory \"{}\" holds a copy of the unfinished clone in \"{}\"", path(),
                       home),
           "If nothing in it is needed, empty it, then run the clone again.");
    return start_over(journal);
  }
  // A clone that died before its first line in the journal has left at most these.
  auto is_first_trace = [](const std::string& name) {
    return name == kLockName || name == std::string(kJournalName) + ".new";
  };
  if (std::all_of(names.begin(), names.end(), is_first_trace)) {
    for (const auto& name : names) remove_file(name);
    return;
  }
  bool is_cluster = holds("PG_VERSION");
  fail(Kind::kTargetRefused,
       fmt::format("target directory \"{}\" is not empty", path()),
       is_cluster ? "It holds a PostgreSQL cluster. Choose an empty directory, or empty this one "
                    "if that cluster is not needed any more."
       : names.size() == 1 && names.front() == "lost+found"
           ? "It is a mount point: use a directory below it."
           : "Choose an empty directory.");
}

void Target::start_over(const Journal& journal) {
  started_over_ = true;
  for (std::size_t index = journal.directories.size(); index-- > 1;) {
    const auto& made = journal.directories[index];
    remove_content(made.path);
    if (!made.existed) rmdir(made.path.c_str());
  }
  // The journal itself goes last: an interrupted removal is found again.
  std::error_code error;
  for (const auto& name : entries_of(path())) {
    if (name == kJournalName) continue;
    fs::remove_all(absolute(name), error);
    if (error) fail_on_disk("remove", absolute(name), error.value());
  }
  fs::remove(absolute(kJournalName), error);
  if (error) fail_on_disk("remove", absolute(kJournalName), error.value());
}

// In the server's format, with a negative process id, as a server in single-user mode
// writes it: both a server and pg_ctl know what it means. The flock tells a helper at work
// from a leftover whose process id has gone to another.
void Target::take_lock() {
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

MadeDirectory Target::take_directory(const std::string& where, const char* what) {
  for (const auto& taken : journal_.directories)
    if (taken.path == where)
      fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is used twice", what, where),
           "Give each tablespace, the WAL and the data a directory of its own.");
  struct stat status;
  bool existed = stat(where.c_str(), &status) == 0;
  if (!existed && errno != ENOENT) fail_on_disk("look at directory", where, errno);
  if (existed && !S_ISDIR(status.st_mode))
    fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is not a directory", what, where),
         "Choose another one.");
  if (existed && !entries_of(where).empty())
    fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is not empty", what, where),
         "Empty it, or choose another one: --tablespace-mapping for a tablespace, --waldir for the "
         "WAL.");
  // The journal speaks of it before it is there: nothing of ours is ever forgotten.
  MadeDirectory made{where, existed};
  journal_.directories.push_back(made);
  write_journal();
  if (!existed) make_directories(where);
  if (chmod(where.c_str(), directory_mode_) != 0)
    fail_on_disk("set the mode of directory", where, errno);
  return made;
}

void Target::set_directory_mode(unsigned mode) {
  directory_mode_ = mode == 0750 ? 0750 : 0700;
  for (const auto& made : journal_.directories)
    if (chmod(made.path.c_str(), directory_mode_) != 0)
      fail_on_disk("set the mode of directory", made.path, errno);
}

void Target::check_mapping(const std::vector<std::string>& donor_directories) const {
  for (const auto& [from, to] : options_.tablespace_mapping) {
    if (std::find(donor_directories.begin(), donor_directories.end(), from) !=
        donor_directories.end())
      continue;
    std::string known;
    for (const auto& directory : donor_directories) known += "\n  " + directory;
    fail(Kind::kUsage, fmt::format("the donor has no tablespace in \"{}\"", from),
         known.empty() ? "It has none outside its data directory: leave --tablespace-mapping out."
                       : "Its tablespaces are in:" + known);
  }
}

std::string Target::mapped(const std::string& donor_directory) const {
  for (const auto& [from, to] : options_.tablespace_mapping)
    if (from == donor_directory) return to;
  return donor_directory;
}

void Target::make_directory(const std::string& name) {
  if (name == "pg_wal" && !options_.wal_directory.empty()) {
    if (symlinkat(options_.wal_directory.c_str(), directory_.get(), "pg_wal") != 0)
      fail_on_disk("create symbolic link", absolute(name), errno);
    return;
  }
  if (mkdirat(directory_.get(), name.c_str(), directory_mode_) != 0)
    fail_on_disk("create directory", absolute(name), errno);
  // The process's umask may have taken the group's rights away.
  if (directory_mode_ != 0700 && fchmodat(directory_.get(), name.c_str(), directory_mode_, 0) != 0)
    fail_on_disk("set the mode of directory", absolute(name), errno);
}

void Target::make_tablespace(const std::string& link, const std::string& donor_directory) {
  std::string where = mapped(donor_directory);
  if (where == path() || where.starts_with(path() + "/"))
    fail(Kind::kTargetRefused,
         fmt::format("tablespace directory \"{}\" lies inside the data directory", where),
         "Choose another one with --tablespace-mapping.");
  take_directory(where, "tablespace directory");
  if (symlinkat(where.c_str(), directory_.get(), link.c_str()) != 0)
    fail_on_disk("create symbolic link", absolute(link), errno);
}

void Target::check_space(const std::vector<Need>& needs) const {
  struct FileSystem {
    std::uint64_t needed = 0, available = 0;
    std::string directory;
  };
  std::map<dev_t, FileSystem> systems;
  for (const auto& need : needs) {
    struct stat status;
    struct statvfs room;
    if (stat(need.directory.c_str(), &status) != 0 || statvfs(need.directory.c_str(), &room) != 0)
      fail_on_disk("look at directory", need.directory, errno);
    auto& system = systems[status.st_dev];
    system.needed += need.bytes;
    system.available = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
    if (system.directory.empty()) system.directory = need.directory;
  }
  for (const auto& [device, system] : systems)
    if (system.needed > system.available)
      fail(Kind::kDisk,
           fmt::format("the clone needs {} on the file system of \"{}\", {} are free",
                       human_size(system.needed), system.directory, human_size(system.available)),
           "Make room there, or choose another directory.");
}

std::unique_ptr<OutputFile> Target::create_file(const std::string& name, std::uint64_t size) const {
  return std::make_unique<OutputFile>(directory_.get(), name, absolute(name), size);
}

void Target::remove_file(const std::string& name) const {
  if (unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    fail_on_disk("remove file", absolute(name), errno);
}

void Target::write_file(const std::string& name, std::string_view content) const {
  std::string fresh = name + ".new";
  remove_file(fresh);
  UniqueFd file(openat(directory_.get(), fresh.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) fail_on_disk("create file", absolute(fresh), errno);
  for (std::string_view rest = content; !rest.empty();) {
    ssize_t wrote = ::write(file.get(), rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail_on_disk("write file", absolute(fresh), wrote < 0 ? errno : ENOSPC);
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (file_mode() != 0600 && fchmod(file.get(), file_mode()) != 0)
    fail_on_disk("set the mode of file", absolute(fresh), errno);
  if (options_.sync) fsync_or_fail(file.get(), absolute(fresh));
  rename_file(fresh, name);
}

void Target::rename_file(const std::string& from, const std::string& to) const {
  if (renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) != 0)
    fail_on_disk("rename file", absolute(from), errno);
}

std::string Target::read_file(const std::string& name) const { return read_whole(absolute(name)); }

void Target::sync_file(const std::string& name) const {
  if (!options_.sync) return;
  UniqueFd file(openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) fail_on_disk("open file", absolute(name), errno);
  fsync_or_fail(file.get(), absolute(name));
}

void Target::sync_directory(const std::string& name) const {
  if (options_.sync) fsync_directory(absolute(name));
}

void Target::sync_all() const {
  if (!options_.sync) return;
  std::set<dev_t> synced;
  for (const auto& made : journal_.directories) {
    if (!syncfs_reports_errors()) {
      fsync_tree(made.path);
      continue;
    }
    UniqueFd directory(open(made.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status;
    if (!directory || fstat(directory.get(), &status) != 0)
      fail_on_disk("open directory", made.path, errno);
    if (!synced.insert(status.st_dev).second) continue;
    if (syncfs(directory.get()) != 0) fail_on_disk("sync the file system of", made.path, errno);
  }
  // The entries of the directories themselves, in whatever holds them.
  if (!syncfs_reports_errors()) return;
  for (const auto& made : journal_.directories)
    if (!made.existed) fsync_directory(fs::path(made.path).parent_path().string());
}

void Target::commit() {
  if (!was_complete_) {
    journal_.is_committed = true;
    write_journal();
  }
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
    remove_content(made.directories[index].path);
    if (!made.directories[index].existed) rmdir(made.directories[index].path.c_str());
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
  if (!made.directories.empty() && !made.directories.front().existed) rmdir(path().c_str());
}

void Target::write_journal() const {
  write_file(kJournalName, journal_.to_text());
  sync_directory("");
}

std::string Target::absolute(const std::string& name) const {
  return name.empty() ? path() : path() + "/" + name;
}

}  // namespace standby_clone
