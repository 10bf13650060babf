// layout.cpp: what lies in a data directory: its directories and links, its files. Links are
// never followed but those that lead into a directory the journal names (trap 87).
#include "helper/disk/target.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/size.h"
#include "helper/disk/directory.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

}  // namespace

TakenDirectory* Target::taken_as(const std::string& link) {
  return const_cast<TakenDirectory*>(std::as_const(*this).taken_as(link));
}

const TakenDirectory* Target::taken_as(const std::string& link) const {
  // The last one counts: a link may have been led elsewhere by a later run.
  for (std::size_t index = journal_.directories.size(); index-- > 1;)
    if (journal_.directories[index].link == link) return &journal_.directories[index];
  return nullptr;
}

bool Target::check_directory(const std::string& where, const std::string& link, const char* what) const {
  struct stat status;
  bool existed = stat(where.c_str(), &status) == 0;
  if (!existed && errno != ENOENT) fail_on_disk("look at directory", where, errno);
  const TakenDirectory* taken = taken_as(link);
  if (taken != nullptr && taken->path == where) return existed;
  for (const auto& other : journal_.directories)
    if (other.path == where)
      fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is used twice", what, where),
           "Give each tablespace, the WAL and the data a directory of its own.");
  if (existed && !S_ISDIR(status.st_mode))
    fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is not a directory", what, where),
         "Choose another one.");
  if (existed && !entries_of(where).empty())
    fail(Kind::kTargetRefused, fmt::format("{} \"{}\" is not empty", what, where),
         "Empty it, or choose another one: --tablespace-mapping for a tablespace, --waldir for the "
         "WAL.");
  return existed;
}

void Target::take_directory(const std::string& where, const std::string& link, const char* what) {
  bool existed = check_directory(where, link, what);
  const TakenDirectory* taken = taken_as(link);
  if (taken != nullptr && taken->path == where) {
    // An earlier run died, or somebody removed it.
    make_directories(where);
    return;
  }
  // The journal speaks of it before it is there: nothing of ours is ever forgotten.
  journal_.directories.push_back({where, existed ? Origin::kEmpty : Origin::kMade, link});
  JournalRecords records;
  records.directory(journal_.directories.back());
  append_to_journal(records);
  if (!existed) make_directories(where);
  if (!existed && syncs()) disk_->sync_directory(fs::path(where).parent_path().string());
  if (chmod(where.c_str(), directory_mode_) != 0)
    fail_on_disk("set the mode of directory", where, errno);
}

void Target::set_directory_mode(unsigned mode) {
  struct stat status;
  if (was_cluster() && fstat(directory_.get(), &status) == 0) {
    bool reads = (status.st_mode & 0050) == 0050;
    adds_group_ = reads && mode != 0750;
    mode = reads ? 0750 : 0700;
  }
  directory_mode_ = mode == 0750 ? 0750 : 0700;
  for (const auto& taken : journal_.directories)
    if (chmod(taken.path.c_str(), directory_mode_) != 0 && errno != ENOENT)
      fail_on_disk("set the mode of directory", taken.path, errno);
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

std::string Target::place_of(const std::string& link, const std::string& donor_directory) const {
  for (const auto& [from, to] : options_.tablespace_mapping)
    if (from == donor_directory) return to;
  const TakenDirectory* taken = taken_as(link);
  return taken != nullptr ? taken->path : donor_directory;
}

// A link of this name to a directory that has been taken. What has the name and is another link,
// or a directory, is of an earlier life.
void Target::link_to(const std::string& name, const std::string& directory) {
  std::error_code error;
  if (fs::read_symlink(absolute(name), error) == fs::path(directory)) return;
  remove_other(name);
  if (symlinkat(directory.c_str(), directory_.get(), name.c_str()) != 0)
    fail_on_disk("create symbolic link", absolute(name), errno);
}

void Target::make_wal_directory() {
  if (!options_.wal_directory.empty())
    take_directory(options_.wal_directory, "pg_wal", "WAL directory");
  const TakenDirectory* taken = taken_as("pg_wal");
  if (taken != nullptr)
    link_to("pg_wal", taken->path);
  else
    make_real_directory("pg_wal");
}

void Target::make_directory(const std::string& name) {
  if (name == "pg_wal")
    make_wal_directory();
  else
    make_real_directory(name);
}

// A directory inside the target is never a link: files are made in it by name.
void Target::make_real_directory(const std::string& name) {
  if (mkdirat(directory_.get(), name.c_str(), directory_mode_) != 0) {
    struct stat status;
    if (errno != EEXIST || fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      fail_on_disk("create directory", absolute(name), errno);
    if (!S_ISDIR(status.st_mode)) {
      remove_other(name);
      if (mkdirat(directory_.get(), name.c_str(), directory_mode_) != 0)
        fail_on_disk("create directory", absolute(name), errno);
    }
  }
  // The process's umask may have taken the group's rights away.
  if (fchmodat(directory_.get(), name.c_str(), directory_mode_, 0) != 0)
    fail_on_disk("set the mode of directory", absolute(name), errno);
}

void Target::check_tablespace(const std::string& link, const std::string& donor_directory) const {
  std::string where = place_of(link, donor_directory);
  if (where == path() || where.starts_with(path() + "/"))
    fail(Kind::kTargetRefused,
         fmt::format("tablespace directory \"{}\" lies inside the data directory", where),
         "Choose another one with --tablespace-mapping.");
  check_directory(where, link, "tablespace directory");
}

void Target::make_tablespace(const std::string& link, const std::string& donor_directory) {
  check_tablespace(link, donor_directory);
  std::string where = place_of(link, donor_directory);
  take_directory(where, link, "tablespace directory");
  link_to(link, where);
}

void Target::empty_wal_directory() const { remove_content(absolute("pg_wal")); }

// Never through a link.
void Target::remove_other(const std::string& name) const {
  std::error_code error;
  fs::remove_all(absolute(name), error);
  if (error) fail_on_disk("remove", absolute(name), error.value());
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

std::uint64_t Target::room_taken_by(const std::string& name) const {
  struct stat status;
  if (!is_used() || fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

std::unique_ptr<OutputFile> Target::create_file(const std::string& name, std::uint64_t size) const {
  auto existing = OutputFile::Existing::kRefuse;
  if (is_used()) {
    struct stat status;
    if (fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        (!S_ISREG(status.st_mode) || status.st_nlink != 1))
      remove_other(name);
    existing = OutputFile::Existing::kKeep;
  }
  return std::make_unique<OutputFile>(directory_.get(), name, absolute(name), size, existing);
}

std::optional<LocalFile> Target::open_local(const std::string& name) const {
  return LocalFile::open(directory_.get(), name, absolute(name));
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
  if (options_.sync) disk_->sync_file(file.get(), absolute(fresh));
  rename_file(fresh, name);
}

void Target::rename_file(const std::string& from, const std::string& to) const {
  if (renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) != 0)
    fail_on_disk("rename file", absolute(from), errno);
}

std::string Target::read_file(const std::string& name) const { return read_whole(absolute(name)); }

bool Target::sync_file_if_there(const std::string& name) const {
  UniqueFd file(openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return false;
  if (!file) fail_on_disk("open file", absolute(name), errno);
  if (options_.sync) disk_->sync_file(file.get(), absolute(name));
  return true;
}

void Target::sync_file(const std::string& name) const {
  if (options_.sync && !sync_file_if_there(name)) fail_on_disk("open file", absolute(name), ENOENT);
}

void Target::sync_directory(const std::string& name) const {
  if (options_.sync) disk_->sync_directory(absolute(name));
}

bool Target::sync_file_systems() const {
  std::set<dev_t> synced;
  for (const auto& taken : journal_.directories) {
    struct stat status;
    if (stat(taken.path.c_str(), &status) != 0) fail_on_disk("look at directory", taken.path, errno);
    if (synced.insert(status.st_dev).second && !disk_->sync_file_system(taken.path)) return false;
  }
  return true;
}

void Target::sync_all() const {
  if (!options_.sync) return;
  if (!sync_file_systems())
    for (const auto& taken : journal_.directories) sync_tree(taken.path, *disk_);
  // The entries of the directories themselves, in whatever holds them.
  for (const auto& taken : journal_.directories)
    if (taken.origin == Origin::kMade)
      disk_->sync_directory(fs::path(taken.path).parent_path().string());
}

}  // namespace standby_clone
