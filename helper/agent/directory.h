// directory.h: what the agent's directory holds, in the words of the view clone_agents.
#pragma once

#include <cstdint>
#include <string>

namespace standby_clone {

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

// Looks only; never fails. With `system_identifier` 0, the donor's is not known: no cluster is foreign.
DirectoryState state_of_directory(const std::string& path, std::uint64_t system_identifier);

// The major version in PG_VERSION; 0: none.
int major_version_of(const std::string& path);

}  // namespace standby_clone
