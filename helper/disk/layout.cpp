// layout.cpp: what lies in a data directory: its directories and links, its files. Links are
// never followed but those that lead into a directory the journal names (trap 87).
#include "helper/disk/target.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>

#include "helper/base/failure.h"
#include "helper/disk/directory.h"

namespace standby_clone {

namespace fs = std::filesystem;

std::uint64_t room_of(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_nlink == 1 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
}

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
  if (int error = why_not_written_to(existed ? where : nearest_existing(where)))
    fail_on_disk(existed ? "write to directory" : "create directory", where, error);
  return existed;
}

void Target::take_directory(const std::string& where, const std::string& link, const char* what) {
  bool existed = check_directory(where, link, what);
  const TakenDirectory* taken = taken_as(link);
  if (taken != nullptr && taken->path == where) {
    // An earlier run died, or somebody removed it.
    existed = false;
  } else {
    // The journal speaks of it before it is there: nothing of ours is ever forgotten.
    journal_.directories.push_back({where, existed ? Origin::kEmpty : Origin::kMade, link});
    JournalRecords records;
    records.directory(journal_.directories.back());
    append_to_journal(records);
  }
  if (!existed) make_directories(tree_.disk(), where, syncs());
  tree_.add_root(link, where);
  tree_.set_mode(link, directory_mode_);
}

void Target::set_directory_mode(unsigned mode) {
  struct stat status;
  if (was_cluster() && fstat(tree_.top(), &status) == 0) {
    bool reads = (status.st_mode & 0050) == 0050;
    adds_group_ = reads && mode != 0750;
    mode = reads ? 0750 : 0700;
  }
  directory_mode_ = mode == 0750 ? 0750 : 0700;
  for (const auto& taken : journal_.directories)
    if (tree_.has_root(taken.link)) tree_.set_mode(taken.link, directory_mode_);
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

std::string Target::wal_directory() const {
  const TakenDirectory* taken = taken_as("pg_wal");
  return !options_.wal_directory.empty() || taken == nullptr ? options_.wal_directory : taken->path;
}

void Target::check_wal_directory() const {
  if (std::string where = wal_directory(); !where.empty()) check_directory(where, "pg_wal", "WAL directory");
}

void Target::make_wal_directory() {
  std::string where = wal_directory();
  if (where.empty()) return tree_.make_directory("pg_wal", directory_mode_);
  take_directory(where, "pg_wal", "WAL directory");
  tree_.make_link("pg_wal", where);
}

void Target::make_directory(const std::string& name) {
  if (name == "pg_wal")
    make_wal_directory();
  else
    tree_.make_directory(name, directory_mode_);
}

void Target::check_tablespace(const std::string& link, const std::string& donor_directory) const {
  std::string where = place_of(link, donor_directory);
  if (is_inside(where, path()))
    fail(Kind::kTargetRefused,
         fmt::format("tablespace directory \"{}\" lies inside the data directory", where),
         "Choose another one with --tablespace-mapping.");
  check_directory(where, link, "tablespace directory");
}

void Target::make_tablespace(const std::string& link, const std::string& donor_directory) {
  check_tablespace(link, donor_directory);
  std::string where = place_of(link, donor_directory);
  take_directory(where, link, "tablespace directory");
  tree_.make_link(link, where);
}

std::uint64_t Target::room_taken_by(const std::string& name) const {
  if (!is_used()) return 0;
  auto status = tree_.status(name);
  return status ? room_of(*status) : 0;
}

std::unique_ptr<OutputFile> Target::create_file(const std::string& name, std::uint64_t size) const {
  auto existing = OutputFile::Existing::kRefuse;
  if (is_used()) {
    auto status = tree_.status(name);
    if (status && (!S_ISREG(status->st_mode) || status->st_nlink != 1)) tree_.remove(name);
    existing = OutputFile::Existing::kKeep;
  }
  return std::make_unique<OutputFile>(tree_, name, size, existing);
}

std::optional<LocalFile> Target::open_local(const std::string& name) const {
  return LocalFile::open(tree_, name);
}

void Target::remove_file(const std::string& name) const { tree_.remove_file(name); }

void Target::write_file(const std::string& name, std::string_view content) const {
  tree_.write_file(name, content, file_mode());
}

void Target::rename_file(const std::string& from, const std::string& to) const {
  tree_.rename(from, to);
}

std::string Target::read_file(const std::string& name) const { return tree_.read_file(name); }

bool Target::sync_file_if_there(const std::string& name) const {
  return tree_.sync_file_if_there(name);
}

void Target::sync_file(const std::string& name) const { tree_.sync_file(name); }

void Target::sync_directory(const std::string& name) const { tree_.sync_directory(name); }

bool Target::sync_file_systems() const { return tree_.sync_file_systems(); }

void Target::sync_all() const { tree_.sync_all(); }

}  // namespace standby_clone
