// leftovers.cpp: one walk over what is there.
#include "helper/plan/leftovers.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>

namespace standby_clone {
namespace {

// Directories in which only the server makes files: whatever the donor does not have there is of
// an earlier life. A prepared transaction, a replication slot or a snapshot of that would come
// alive again with the server.
constexpr std::array<std::string_view, 15> kServersOwn = {
    "base",         "global",     "pg_commit_ts", "pg_dynshmem", "pg_logical",
    "pg_multixact", "pg_notify",  "pg_replslot",  "pg_serial",   "pg_snapshots",
    "pg_stat",      "pg_stat_tmp", "pg_subtrans", "pg_twophase", "pg_xact"};

// Files of the top level that say what a server did or was to be.
constexpr std::array<std::string_view, 13> kServersFiles = {
    "PG_VERSION",      "backup_label",     "backup_label.old",    "backup_manifest",
    "backup_manifest.tmp", "current_logfiles", "current_logfiles.tmp", "postgresql.auto.conf.tmp",
    "postmaster.opts", "recovery.signal",  "standby.signal",      "tablespace_map",
    "tablespace_map.old"};

// Those of them that we write, under the name that they have until they are whole.
constexpr std::array<std::string_view, 4> kHalfWritten = {
    "backup_label.new", "backup_manifest.new", "postgresql.auto.conf.new", "standby.signal.new"};

constexpr std::string_view kOurPrefix = "pg_standby_clone.";

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Walk {
 public:
  Walk(const Target& target, const FileList& list, OldWal wal)
      : target_(target), tree_(target.tree()), wal_(wal) {
    wanted_.reserve(list.files.size() + list.directories.size() + list.tablespaces.size() + 1);
    for (const auto& file : list.files) wanted_.push_back(list.path(file));
    for (const auto& directory : list.directories) wanted_.push_back(directory);
    for (const auto& tablespace : list.tablespaces) wanted_.push_back(tablespace.path);
    wanted_.push_back("global/pg_control");  // not in the list of what is read
    std::sort(wanted_.begin(), wanted_.end());
  }

  Leftovers run() {
    for (const auto& name : tree_.entries("")) top_level(name);
    return std::move(found_);
  }

 private:
  void top_level(const std::string& name) {
    if (name == kJournalName || name == "postmaster.pid") return;
    if (name == "pg_wal") {
      if (wal_ == OldWal::kGoes && (tree_.has_root(name) || tree_.is_directory(name))) clean(name);
      return;
    }
    if (name == "pg_tblspc") return tablespaces();
    if (is_one_of(kServersOwn, name)) {
      if (tree_.is_directory(name)) clean(name);
      return;  // anything else of that name is replaced by the layout
    }
    if (is_wanted(name)) {
      if (tree_.is_directory(name)) keep_others_in(name);
      return;
    }
    if (is_one_of(kServersFiles, name) || is_one_of(kHalfWritten, name) || name.starts_with(kOurPrefix))
      return remove(name);
    found_.kept_entries.push_back(name);
    keep(name);
  }

  void clean(const std::string& directory) {
    for (const auto& name : entries_of(directory, found_.unremovable)) {
      std::string path = directory + "/" + name;
      if (!is_wanted(path))
        remove(path);
      else if (tree_.is_directory(path))
        clean(path);
    }
  }

  void tablespaces() {
    if (!tree_.is_directory("pg_tblspc")) return;
    for (const auto& name : tree_.entries("pg_tblspc")) {
      std::string link = "pg_tblspc/" + name;
      std::string leads_to = tree_.read_link(link);
      if (!is_wanted(link)) {
        // What the link leads to may be somebody's by now.
        if (!leads_to.empty()) found_.abandoned.push_back(leads_to);
        remove(link);
        continue;
      }
      if (leads_to.empty() ? !tree_.is_directory(link)
                           : !tree_.has_root(link) || !target_.is_own_directory(leads_to))
        continue;  // the layout's to do
      // Of the directory itself only what is of this server's version.
      for (const auto& version : tree_.entries(link))
        if (is_wanted(link + "/" + version) && tree_.is_directory(link + "/" + version))
          clean(link + "/" + version);
    }
  }

  void keep_others_in(const std::string& directory) {
    for (const auto& name : entries_of(directory, found_.unreadable)) {
      std::string path = directory + "/" + name;
      if (!is_wanted(path))
        keep(path);
      else if (tree_.is_directory(path))
        keep_others_in(path);
    }
  }

  void keep(const std::string& path) {
    auto status = tree_.status(path);
    if (!status) return;
    if (S_ISDIR(status->st_mode)) return keep_others_in(path);
    if (!S_ISREG(status->st_mode)) return;
    if (!tree_.open(path, O_RDONLY | O_NONBLOCK) && errno == EACCES)
      return found_.unreadable.push_back(path);
    found_.kept_files.push_back(
        {path, static_cast<std::uint64_t>(status->st_size), status->st_mtime});
  }

  void remove(const std::string& path) {
    found_.to_remove.push_back(path);
    look_at_what_goes(path);
  }

  void look_at_what_goes(const std::string& path) {
    auto status = tree_.status(path);
    if (!status || path.ends_with("/lost+found")) return;
    if (!S_ISDIR(status->st_mode)) {
      found_.room[status->st_dev] += room_of(*status);
      return;
    }
    auto names = entries_of(path, found_.unremovable);
    if (!names.empty() && !tree_.may_change(path)) found_.unremovable.push_back(path);
    for (const auto& name : names) look_at_what_goes(path + "/" + name);
  }

  bool is_wanted(std::string_view path) const { return std::binary_search(wanted_.begin(), wanted_.end(), path); }

  // Where they cannot be read, the directory is one of those.
  std::vector<std::string> entries_of(const std::string& directory,
                                      std::vector<std::string>& those) const {
    if (tree_.open(directory, O_RDONLY | O_DIRECTORY) || errno != EACCES)
      return tree_.entries(directory);
    those.push_back(directory);
    return {};
  }

  const Target& target_;
  const Tree& tree_;
  const OldWal wal_;
  std::vector<std::string_view> wanted_;  // sorted: 16 bytes a file, of many
  Leftovers found_;
};

}  // namespace

Leftovers look_for_leftovers(const Target& target, const FileList& list, OldWal wal) {
  return Walk(target, list, wal).run();
}

void remove_leftovers(const Target& target, const Leftovers& leftovers) {
  for (const auto& path : leftovers.to_remove) target.tree().remove(path);
}

}  // namespace standby_clone
