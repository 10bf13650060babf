// lock_file.h: postmaster.pid: what it says, and whose it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace standby_clone {

inline constexpr char kLockFileName[] = "postmaster.pid";
// One that somebody has left, for the moment in which it is removed.
inline constexpr char kLeftLockFileName[] = "pg_standby_clone.left_postmaster.pid";

struct LockFile {
  enum class Writer { kPostmaster, kSingleUser, kClone };

  Writer writer = Writer::kPostmaster;
  long pid = 0;        // positive; 0: the first line is no number
  std::string status;  // as the server writes it: "starting", "standby", "ready", "stopping"

  static LockFile parse(std::string_view content);
};

// What a clone writes into it: a server takes that for one in single-user mode, and keeps away; the
// port, which is no server's, tells it from one.
std::string lock_file_of_clone(long pid, const std::string& directory, long started);

struct RunningServer {
  long pid = 0;
  std::string status;
};

// The postmaster that a lock file names, if it names one. Whether it lives is not asked.
std::optional<RunningServer> server_in_lock(std::string_view lock);

}  // namespace standby_clone
