// target.h: the directory a clone is made in, with its tablespaces and its WAL
// directory. Nothing outside them is written, and only what was made is ever removed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "helper/base/unique_fd.h"
#include "helper/disk/journal.h"
#include "helper/disk/output_file.h"

namespace standby_clone {

struct TargetOptions {
  std::string data_directory;  // absolute
  std::vector<std::pair<std::string, std::string>> tablespace_mapping;
  std::string wal_directory;  // absolute, or empty
  bool sync = true;
};

class Target {
 public:
  // Checks and takes the directory: refuses (kTargetRefused) one that is not empty, holds a
  // running server or another clone at work. An unfinished clone of ours that nobody works on is
  // removed first; `started_over` tells. While this lives, postmaster.pid keeps servers
  // and other clones away.
  explicit Target(const TargetOptions& options);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  bool started_over() const { return started_over_; }
  bool was_complete() const { return was_complete_; }  // committed before: nothing is left to do

  const std::string& path() const { return options_.data_directory; }
  bool syncs() const { return options_.sync; }

  // Permissions of the donor's data directory: 0700 or 0750.
  void set_directory_mode(unsigned mode);
  unsigned file_mode() const { return directory_mode_ == 0750 ? 0640 : 0600; }

  // --- layout; paths are relative to the data directory and clean. One thread. ---
  void check_mapping(const std::vector<std::string>& donor_directories) const;
  void make_directory(const std::string& path);
  void make_tablespace(const std::string& link, const std::string& donor_directory);
  // Where a tablespace of the donor goes.
  std::string mapped(const std::string& donor_directory) const;

  struct Need {
    std::string directory;  // absolute, exists
    std::uint64_t bytes = 0;
  };
  // kDisk if a file system has less room than all that goes there.
  void check_space(const std::vector<Need>& needs) const;

  // --- files; thread-safe ---
  std::unique_ptr<OutputFile> create_file(const std::string& path, std::uint64_t size) const;
  void remove_file(const std::string& path) const;
  // A small file as a whole, durable on return (unless not syncing).
  void write_file(const std::string& path, std::string_view content) const;
  void rename_file(const std::string& from, const std::string& to) const;
  std::string read_file(const std::string& path) const;
  void sync_file(const std::string& path) const;
  void sync_directory(const std::string& path) const;  // "" is the data directory

  // Everything written so far is durable on return; nothing with --no-sync.
  void sync_all() const;

  // The journal says that pg_control has its name; then the journal and the lock go.
  void commit();

  // Gives the directory back as it was. Safe to call at any time before commit().
  void remove_what_was_made();

 private:
  void inspect();
  void take_lock();
  void start_over(const Journal& journal);
  MadeDirectory take_directory(const std::string& path, const char* what);
  void write_journal() const;
  std::string absolute(const std::string& path) const;

  TargetOptions options_;
  unsigned directory_mode_ = 0700;
  UniqueFd directory_;
  UniqueFd lock_;
  bool has_lock_ = false;
  bool started_over_ = false;
  bool was_complete_ = false;
  Journal journal_;
};

}  // namespace standby_clone
