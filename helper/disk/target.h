// target.h: the directory a clone is made in, with its tablespaces and its WAL
// directory. Nothing outside them is written, and only what was made is ever removed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "helper/base/unique_fd.h"
#include "helper/disk/control_file.h"
#include "helper/disk/journal.h"
#include "helper/disk/local_file.h"
#include "helper/disk/output_file.h"
#include "helper/disk/tree.h"

namespace standby_clone {

struct TargetOptions {
  std::string data_directory;  // absolute
  std::vector<std::pair<std::string, std::string>> tablespace_mapping;
  std::string wal_directory;  // absolute, or empty
  bool sync = true;
  bool delta = false;     // a cluster that is there is brought up to date
  Disk* disk = nullptr;   // for tests; otherwise the real one
  bool syncs_by_file = false;  // that one syncs no file systems
};
Disk& disk_of(const TargetOptions& options);

// How a directory was found by helper/claim, which has decided that it may be taken.
struct Found {
  enum class State {
    kFresh,     // it was empty
    kResumed,   // holds an unfinished clone of ours
    kCluster,   // holds a cluster
    kComplete,  // committed before: nothing is left to do
  };

  State state = State::kFresh;
  bool existed = true;
  // Open, and locked where the file system has locks: no other helper has it until the end.
  UniqueFd directory;
  Journal journal;                       // of kResumed and kComplete
  std::optional<ControlFile> cluster;    // of kCluster
  std::optional<std::string> lock_file;  // what postmaster.pid says that somebody has left
};

// Bytes on disk that are free, or used again, when a file goes: none of one that has other names.
std::uint64_t room_of(const struct stat& status);

class Target {
 public:
  using State = Found::State;

  // Takes the directory, but for kCluster, which is looked at only, until claim(). While it is taken,
  // postmaster.pid keeps servers away.
  Target(const TargetOptions& options, Found found);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  State state() const { return state_; }
  // From then on it is changed.
  bool is_taken() const { return state_ == State::kCluster ? is_changed_ : has_lock_; }
  bool was_complete() const { return state_ == State::kComplete; }
  // It held a cluster, which a run with --delta took over: this one, or the one that is gone on with.
  bool was_cluster() const { return journal_.directories.front().origin == Origin::kFound; }
  // Are there, or may there be, files of an earlier life?
  bool is_used() const { return state_ == State::kResumed || state_ == State::kCluster; }

  const std::string& path() const { return options_.data_directory; }
  bool syncs() const { return options_.sync; }
  // All that lies in it.
  const Tree& tree() const { return tree_; }

  // --- a cluster that is there ---

  // Of kCluster: what its pg_control says.
  const ControlFile& cluster() const { return *cluster_; }
  // Puts a file of this name into each directory that will be written to, and takes them out
  // again: the donor looks for it under its own paths.
  void put_probes(const std::string& name);
  void remove_probes(const std::string& name) noexcept;
  // The first change: from here on the directory cannot be started, durably, and is ours to
  // go on with. Refuses if postmaster.pid and pg_control are not (any more) as they were when somebody
  // decided that it may be.
  void claim(const std::optional<std::string>& lock_file, std::string_view control_file);

  // --- sessions, for the journal ---

  // Of kResumed: the session whose promises the journal holds.
  const std::optional<SessionRecord>& session() const { return journal_.session; }
  // Of it: what an earlier life left was gone.
  bool is_laid_out() const { return journal_.is_laid_out; }
  // Goes on in that session: what the journal says about files holds. Once; writes it anew.
  KnownFiles go_on_in_session();
  // A new one: what is on disk is of no known worth. Of a kCluster it is written by claim().
  void begin_session(const SessionRecord& session);
  // Thread-safe.
  void append_to_journal(const JournalRecords& records) const;

  // Permissions: 0700, or 0750 where the group may read. Of the donor's data directory; one that held a cluster keeps
  // its own.
  void set_directory_mode(unsigned mode);
  unsigned file_mode() const { return directory_mode_ == 0750 ? 0640 : 0600; }
  // Of a file that has these on the donor; a group that reads here alone reads all.
  unsigned file_mode(unsigned donors) const { return (adds_group_ ? donors | 0040 : donors) & file_mode(); }

  // --- layout; paths are relative to the data directory and clean. One thread. All may be
  // --- done again, and replace what is of another kind; links are never followed. ---
  void check_mapping(const std::vector<std::string>& donor_directories) const;
  // Fail where making them would; make nothing.
  void check_wal_directory() const;
  void check_tablespace(const std::string& link, const std::string& donor_directory) const;
  void make_directory(const std::string& path);
  void make_tablespace(const std::string& link, const std::string& donor_directory);
  // Where a tablespace of the donor goes: as mapped, else where it is here, else as on the donor.
  std::string place_of(const std::string& link, const std::string& donor_directory) const;
  // All of it is there, and what is left over has been removed. Durable on return.
  void end_layout();

  // Bytes of a file that is there already.
  std::uint64_t room_taken_by(const std::string& path) const;

  // --- files; thread-safe ---

  // A file to write, made if it is not there. What is there and not a file of this directory
  // alone (a link, or a second name of another's file) is replaced.
  std::unique_ptr<OutputFile> create_file(const std::string& path, std::uint64_t size) const;
  // A file to read; none if it is not there or not a file of this directory alone (trap 87).
  std::optional<LocalFile> open_local(const std::string& path) const;
  void remove_file(const std::string& path) const;
  // A small file as a whole, durable on return (unless not syncing).
  void write_file(const std::string& path, std::string_view content) const;
  void rename_file(const std::string& from, const std::string& to) const;
  std::string read_file(const std::string& path) const;
  void sync_file(const std::string& path) const;
  void sync_directory(const std::string& path) const;  // "" is the data directory
  std::string absolute(const std::string& path) const;

  // False if it is gone.
  bool sync_file_if_there(const std::string& path) const;
  // All at once, with the names in directories; false where the system cannot.
  bool sync_file_systems() const;

  // Everything written so far is durable on return; nothing with --no-sync.
  void sync_all() const;

  // The journal says that pg_control is about to take its name. Durable on return.
  void begin_commit();
  // pg_control has it: journal and lock go.
  void commit();

  // Gives a directory that was kFresh back as it was. Safe to call at any time before commit().
  void remove_what_was_made();
  // What to remove by hand to be rid of it.
  std::vector<std::string> own_directories() const;
  // One that the journal names: made, empty before, or confirmed not to be the donor's.
  bool is_own_directory(const std::string& path) const;

 private:
  void take_lock(const std::optional<std::string>& left);
  void remove_left_lock(const std::string& left) const;
  TakenDirectory* taken_as(const std::string& link);
  const TakenDirectory* taken_as(const std::string& link) const;
  // Is it there? Fails where it may not be taken.
  bool check_directory(const std::string& path, const std::string& link, const char* what) const;
  void take_directory(const std::string& path, const std::string& link, const char* what);
  std::string wal_directory() const;  // outside the data directory; empty: inside
  void make_wal_directory();
  void find_links();
  void rewrite_journal();

  TargetOptions options_;
  Tree tree_;
  State state_ = State::kFresh;
  unsigned directory_mode_ = 0700;
  bool adds_group_ = false;
  UniqueFd lock_;
  bool has_lock_ = false;
  bool is_changed_ = false;  // of kCluster
  std::optional<ControlFile> cluster_;
  Journal journal_;
  mutable std::mutex journal_mutex_;
  mutable JournalFile journal_file_;
};

}  // namespace standby_clone
