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
#include "helper/disk/lock_file.h"
#include "protocol/limits.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr char kControlFile[] = "global/pg_control";
// pg_control of the old life, once its name is taken away; goes at the end of the layout.
constexpr char kControlFileOld[] = "global/pg_standby_clone.old_pg_control";

std::string in_root(const TakenDirectory& root, const std::string& name) {
  return root.link.empty() ? name : root.link + "/" + name;
}

}  // namespace

Disk& disk_of(const TargetOptions& options) {
  if (options.disk != nullptr) return *options.disk;
  return options.syncs_by_file ? disk_without_syncfs() : real_disk();
}

Target::Target(const TargetOptions& options, Found found)
    : options_(options),
      tree_(disk_of(options), options.sync),
      state_(found.state),
      cluster_(found.cluster),
      journal_(std::move(found.journal)) {
  tree_.add_root("", path(), std::move(found.directory));
  if (state_ == State::kComplete) {
    if (found.lock_file) remove_left_lock(*found.lock_file);
    commit();
    return;
  }
  if (options_.wal_directory.starts_with(path() + "/"))
    fail(Kind::kTargetRefused,
         fmt::format("WAL directory \"{}\" lies inside the data directory", options_.wal_directory),
         "Choose a --waldir outside of it.");
  if (state_ == State::kCluster) {
    find_links();
    return;
  }
  try {
    take_lock(found.lock_file);
    if (state_ == State::kResumed) {
      // What is gone the layout makes again.
      std::error_code error;
      for (const auto& taken : journal_.directories)
        if (!taken.link.empty() && fs::is_directory(taken.path, error)) tree_.add_root(taken.link, taken.path);
      return;
    }
    for (const std::string& trace : {std::string(kJournalName) + ".new", std::string(kLeftLockFileName)})
      remove_file(trace);
    journal_.directories.push_back({path(), found.existed ? Origin::kEmpty : Origin::kMade, ""});
    rewrite_journal();
    if (!options_.wal_directory.empty())
      take_directory(options_.wal_directory, "pg_wal", "WAL directory");
  } catch (...) {
    if (has_lock_ && state_ == State::kFresh)
      remove_what_was_made();
    else if (has_lock_)
      tree_.disk().unlink(tree_.top(), kLockFileName);
    throw;
  }
}

Target::~Target() {
  if (has_lock_) tree_.disk().unlink(tree_.top(), kLockFileName);
}

// What the links of the cluster lead to: the confirmed map, once the donor has said that none
// of it is its own (trap 87).
void Target::find_links() {
  journal_ = {};
  journal_.directories.push_back({path(), Origin::kFound, ""});
  std::vector<std::string> links;
  if (options_.wal_directory.empty()) links.push_back("pg_wal");
  if (tree_.is_directory("pg_tblspc"))
    for (const auto& name : tree_.entries("pg_tblspc")) links.push_back("pg_tblspc/" + name);
  for (const auto& link : links) {
    fs::path leads_to = tree_.read_link(link);
    struct stat status;
    if (!leads_to.is_absolute() || stat(leads_to.c_str(), &status) != 0 ||
        !S_ISDIR(status.st_mode))
      continue;  // not a link, or to nothing: the layout replaces it
    // As on the donor, and to go elsewhere here.
    bool is_mapped = std::any_of(
        options_.tablespace_mapping.begin(), options_.tablespace_mapping.end(),
        [&](const auto& mapping) { return mapping.first == leads_to && mapping.second != leads_to; });
    if (is_mapped) continue;
    journal_.directories.push_back({leads_to.string(), Origin::kFound, link});
    tree_.add_root(link, leads_to.string());
  }
}

void Target::put_probes(const std::string& name) {
  for (const auto& found : journal_.directories) {
    std::string probe = in_root(found, protocol::kProbePrefix + name);
    if (!tree_.open(probe, O_WRONLY | O_CREAT | O_EXCL, 0600))
      fail_on_disk("create file", absolute(probe), errno);
  }
}

void Target::remove_probes(const std::string& name) noexcept {
  for (const auto& found : journal_.directories)
    try {
      tree_.remove_file(in_root(found, protocol::kProbePrefix + name));
    } catch (const Failure&) {
    }
}

// The journal first: a directory whose pg_control has no name and that has no journal would be
// nobody's. The probes of earlier runs that died go as well.
void Target::claim(const std::optional<std::string>& lock_file, std::string_view control_file) {
  take_lock(lock_file);
  // No server can begin any more that respects a lock file. Has one in between?
  if (read_file(kControlFile) != control_file) {
    remove_file(kLockFileName);
    has_lock_ = false;
    fail(Kind::kTargetRefused,
         fmt::format("somebody has just changed \"{}\"", absolute(kControlFile)),
         "Nothing was changed. Run the clone again when nobody works in that directory.");
  }
  rewrite_journal();
  for (const auto& taken : journal_.directories)
    for (const auto& name : tree_.entries(taken.link))
      if (name.starts_with(protocol::kProbePrefix)) tree_.remove_file(in_root(taken, name));
  is_changed_ = true;
  rename_file(kControlFile, kControlFileOld);
  sync_directory("global");
}

// In the server's format, with a negative process id, as a server in single-user mode writes it: both a
// server and pg_ctl know what it means. A helper at work holds it with a flock, as older versions of this
// program ask for, from before anything is written into it.
void Target::take_lock(const std::optional<std::string>& left) {
  if (left) remove_left_lock(*left);
  lock_ = tree_.open(kLockFileName, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!lock_ && errno == EEXIST)
    fail(Kind::kTargetRefused,
         fmt::format("somebody else has just taken directory \"{}\"", path()),
         "Wait for that server or clone, or choose another --pgdata.");
  if (!lock_) fail_on_disk("create file", absolute(kLockFileName), errno);
  has_lock_ = true;
  // Only a question of an older version can be in the way, for a moment; and there may be no locks.
  for (int attempt = 0; tree_.disk().lock(lock_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; ++attempt) {
    if (attempt == 100) fail_on_disk("lock file", absolute(kLockFileName), EWOULDBLOCK);
    usleep(1000);
  }
  std::string text = lock_file_of_clone(getpid(), path(), static_cast<long>(std::time(nullptr)));
  tree_.write(lock_.get(), std::as_bytes(std::span(text)), 0, kLockFileName);
}

// Moved away first, and looked at once more: in its place may be that of a server that has begun since.
void Target::remove_left_lock(const std::string& left) const {
  int top = tree_.top();
  if (tree_.disk().rename(top, kLockFileName, top, kLeftLockFileName) != 0) {
    if (errno == ENOENT) return;
    fail_on_disk("rename file", absolute(kLockFileName), errno);
  }
  if (read_file(kLeftLockFileName) != left &&
      tree_.disk().link(top, kLeftLockFileName, top, kLockFileName) != 0)
    fail_on_disk("rename file", absolute(kLeftLockFileName), errno);
  remove_file(kLeftLockFileName);
}

KnownFiles Target::go_on_in_session() {
  journal_.is_committing = false;
  rewrite_journal();
  return std::exchange(journal_.files, {});
}

void Target::begin_session(const SessionRecord& session) {
  journal_.session = session;
  journal_.files = {};
  journal_.is_laid_out = journal_.is_committing = false;
  if (is_taken()) rewrite_journal();
}

void Target::rewrite_journal() {
  std::lock_guard lock(journal_mutex_);
  journal_file_ = JournalFile::create(tree_, journal_);
}

void Target::append_to_journal(const JournalRecords& records) const {
  std::lock_guard lock(journal_mutex_);
  journal_file_.append(records);
}

// Segments of an earlier life that came back with their marks would be taken for those of this session.
void Target::end_layout() {
  remove_file(kControlFileOld);
  for (const char* directory : {"pg_wal", "pg_wal/archive_status"})
    if (tree_.open(directory, O_PATH | O_DIRECTORY)) sync_directory(directory);
  JournalRecords records;
  records.laid_out();
  append_to_journal(records);
}

void Target::begin_commit() {
  JournalRecords records;
  records.committing();
  append_to_journal(records);
}

void Target::commit() {
  remove_file(kJournalName);
  if (has_lock_) {
    remove_file(kLockFileName);
    has_lock_ = false;
  }
  sync_directory("");
}

void Target::remove_what_was_made() {
  Journal made = journal_;
  for (std::size_t index = made.directories.size(); index-- > 1;) {
    const auto& directory = made.directories[index];
    if (directory.origin == Origin::kFound) continue;
    if (tree_.has_root(directory.link)) tree_.remove_content(directory.link);
    if (directory.origin == Origin::kMade)
      tree_.disk().unlink(AT_FDCWD, directory.path.c_str(), AT_REMOVEDIR);
  }
  // pg_control first of all it cannot be: it has no name yet. Journal and lock go last.
  for (const auto& name : tree_.entries(""))
    if (name != kJournalName && name != kLockFileName) tree_.remove(name);
  remove_file(kJournalName);
  if (has_lock_) remove_file(kLockFileName);
  has_lock_ = false;
  if (!made.directories.empty() && made.directories.front().origin == Origin::kMade)
    tree_.disk().unlink(AT_FDCWD, path().c_str(), AT_REMOVEDIR);
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

std::string Target::absolute(const std::string& name) const { return tree_.shown(name); }

}  // namespace standby_clone
