// leftovers.cpp: one walk over what is there.
#include "helper/plan/leftovers.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <filesystem>
#include <unordered_set>

#include "helper/base/failure.h"
#include "helper/disk/directory.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

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
  Walk(const Target& target, const FileList& list) : target_(target) {
    for (const auto& file : list.files) wanted_.insert(list.path(file));
    for (const auto& directory : list.directories) wanted_.insert(directory);
    for (const auto& tablespace : list.tablespaces) wanted_.insert(tablespace.path);
  }

  Leftovers run() {
    for (const auto& name : entries_of(target_.path())) top_level(name);
    return std::move(found_);
  }

 private:
  void top_level(const std::string& name) {
    if (name == kJournalName || name == "postmaster.pid" || name == "pg_wal") return;
    if (name == "pg_tblspc") return tablespaces();
    if (is_one_of(kServersOwn, name)) {
      if (is_real_directory(name)) clean(name);
      return;  // anything else of that name is replaced by the layout
    }
    if (wanted_.contains(name)) {
      if (is_real_directory(name)) keep_others_in(name);
      return;
    }
    if (is_one_of(kServersFiles, name) || is_one_of(kHalfWritten, name) || name.starts_with(kOurPrefix))
      return remove(name);
    found_.kept_entries.push_back(name);
    keep(name);
  }

  void clean(const std::string& directory) {
    for (const auto& name : entries_of(target_.absolute(directory))) {
      std::string path = directory + "/" + name;
      if (!wanted_.contains(path))
        remove(path);
      else if (is_real_directory(path))
        clean(path);
    }
  }

  void tablespaces() {
    if (!is_real_directory("pg_tblspc")) return;
    for (const auto& name : entries_of(target_.absolute("pg_tblspc"))) {
      std::string link = "pg_tblspc/" + name;
      std::error_code error;
      auto leads_to = fs::read_symlink(target_.absolute(link), error);
      bool is_link = !error;
      if (!wanted_.contains(link)) {
        // What the link leads to may be somebody's by now.
        if (is_link) found_.abandoned.push_back(leads_to.string());
        remove(link);
        continue;
      }
      if (is_link && !target_.is_own_directory(leads_to.string())) continue;  // the layout's to do
      // Of the directory itself only what is of this server's version.
      if (!fs::is_directory(target_.absolute(link), error)) continue;
      for (const auto& version : entries_of(target_.absolute(link)))
        if (wanted_.contains(link + "/" + version) && is_real_directory(link + "/" + version))
          clean(link + "/" + version);
    }
  }

  void keep_others_in(const std::string& directory) {
    for (const auto& name : entries_of(target_.absolute(directory))) {
      std::string path = directory + "/" + name;
      if (!wanted_.contains(path))
        keep(path);
      else if (is_real_directory(path))
        keep_others_in(path);
    }
  }

  void keep(const std::string& path) {
    struct stat status;
    if (lstat(target_.absolute(path).c_str(), &status) != 0) return;
    if (S_ISREG(status.st_mode))
      found_.kept_files.push_back(
          {path, static_cast<std::uint64_t>(status.st_size), status.st_mtime});
    else if (S_ISDIR(status.st_mode))
      keep_others_in(path);
  }

  bool is_real_directory(const std::string& path) const {
    struct stat status;
    return lstat(target_.absolute(path).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  }

  void remove(const std::string& path) {
    std::error_code error;
    fs::remove_all(target_.absolute(path), error);
    if (error) fail_on_disk("remove", target_.absolute(path), error.value());
    ++found_.removed;
  }

  const Target& target_;
  std::unordered_set<std::string_view> wanted_;
  Leftovers found_;
};

}  // namespace

Leftovers remove_leftovers(const Target& target, const FileList& list) {
  return Walk(target, list).run();
}

}  // namespace standby_clone
