// directory.cpp: looking at a data directory from outside.
#include "helper/agent/directory.h"

#include <cstring>
#include <fstream>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/preflight/directory.h"

namespace standby_clone {
namespace {

// The first field of pg_control in every version.
std::uint64_t system_identifier_in(const std::string& path) {
  std::ifstream file(path + "/global/pg_control", std::ios::binary);
  std::uint64_t identifier = 0;
  char bytes[sizeof(identifier)];
  if (!file.read(bytes, sizeof(bytes))) return 0;
  std::memcpy(&identifier, bytes, sizeof(bytes));
  return identifier;
}

}  // namespace

const char* name_of(DirectoryState state) {
  switch (state) {
    case DirectoryState::kEmpty: return "empty";
    case DirectoryState::kUnfinishedClone: return "unfinished clone";
    case DirectoryState::kStoppedStandby: return "stopped standby";
    case DirectoryState::kRunningStandby: return "running standby";
    case DirectoryState::kStoppedPrimary: return "stopped primary";
    case DirectoryState::kRunningPrimary: return "running primary";
    case DirectoryState::kForeign: return "foreign";
    case DirectoryState::kNotEmpty: return "not empty";
    case DirectoryState::kUnreadable: return "unreadable";
  }
  return "unreadable";
}

int major_version_of(const std::string& path) {
  std::ifstream file(path + "/PG_VERSION");
  int major = 0;
  file >> major;
  return major;
}

DirectoryState state_of_directory(const std::string& path, std::uint64_t system_identifier) {
  DirectoryLook look;
  try {
    look = look_at_directory(path);
  } catch (const Failure&) {
    return DirectoryState::kUnreadable;
  }
  switch (look.holds) {
    case Holds::kNothing:
    case Holds::kEmpty: return DirectoryState::kEmpty;
    case Holds::kUnfinishedClone: return DirectoryState::kUnfinishedClone;
    case Holds::kOther:
    case Holds::kNotADirectory: return DirectoryState::kNotEmpty;
    case Holds::kCompleteClone:
    case Holds::kCluster: break;
  }
  std::uint64_t found = system_identifier_in(path);
  if (found == 0) return DirectoryState::kNotEmpty;
  if (system_identifier != 0 && found != system_identifier) return DirectoryState::kForeign;
  bool is_running = look.server_pid != 0;
  if (access((path + "/standby.signal").c_str(), F_OK) == 0)
    return is_running ? DirectoryState::kRunningStandby : DirectoryState::kStoppedStandby;
  return is_running ? DirectoryState::kRunningPrimary : DirectoryState::kStoppedPrimary;
}

}  // namespace standby_clone
