// look.h: who has a directory, and what it holds: the one decision, for the checks before a clone, the clone
// itself, the agent, and whoever shows it. Looking changes nothing and takes no lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "helper/base/failure.h"
#include "helper/disk/control_file.h"
#include "helper/disk/lock_file.h"

namespace standby_clone {

enum class Holds {
  kNothing,          // it is not there
  kEmpty,            // or what a clone has left that died before its first line in the journal
  kUnfinishedClone,  // of ours
  kCompleteClone,    // but for deleting the journal
  kCluster,
  kOther,
  kNotADirectory,
};

enum class Occupant {
  kNobody,
  kClone,       // a clone at work
  kServer,      // a server that runs: it works in this directory
  kSingleUser,  // postgres --single
  kLockOwner,   // a process that the lock file names; whether it is a server's cannot be seen
  kOrphans,     // processes of a server that has ended, in its shared memory
};

struct Look {
  Holds holds = Holds::kNothing;
  Occupant occupant = Occupant::kNobody;
  long pid = 0;  // of the occupant, where it is one
  // Of a cluster: why a server may run in it although none is seen, in words; empty: it is known to be down.
  std::string why_not_known_down;
  std::uint64_t system_identifier = 0;  // of a cluster; 0: there is no pg_control to tell
  std::optional<ControlFile> cluster;   // its pg_control, if it can be read
  bool is_standby = false;              // standby.signal is there
  bool is_mount_point = false;          // holds lost+found only
  bool is_ours = true;                  // belongs to this operating system user
  // What was looked at, so that it can be told whether it is still the same.
  std::optional<std::string> lock_file;
  std::string control_file;
};

// Fails with kTargetRefused or kDisk when it cannot even be looked at.
Look look_at_directory(const std::string& path);

// What its pg_control says, in the words of pg_controldata.
std::string state_in_words(const Look& look);

// What may be done with it.
struct Leave {
  bool to_update = false;          // --delta: a cluster that is there
  bool to_stop_server = false;     // a server that runs there is stopped before the first change
  bool to_assume_stopped = false;  // --assume-stopped
};
// Why a clone may not be made there; nothing: it may.
std::optional<Failure> refusal(const std::string& path, const Look& look, const Leave& leave);

// The postmaster that runs in a directory, if its lock file names one that works there.
std::optional<RunningServer> running_server(const std::string& data_directory);

// The words of the view clone_agents.
enum class DirectoryState {
  kEmpty,             // or not there
  kUnfinishedClone,   // of ours
  kStoppedStandby,    // of the donor's cluster
  kRunningStandby,
  kStoppedPrimary,    // a cluster of the donor's that is no standby: an old primary, say
  kRunningPrimary,
  kForeign,           // a cluster of another system identifier
  kNotEmpty,          // no cluster
  kUnreadable,
};
const char* name_of(DirectoryState state);

// Of what was seen. With `system_identifier` 0, the donor's is not known: no cluster is foreign.
DirectoryState state_of(const Look& look, std::uint64_t system_identifier);

// Looks; never fails.
DirectoryState state_of_directory(const std::string& path, std::uint64_t system_identifier);

}  // namespace standby_clone
