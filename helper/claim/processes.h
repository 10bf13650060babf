// processes.h: who works in a directory, as the system knows it: processes, the shared memory of
// servers; and how much of that can be seen from here. Nothing is changed, and no process is signalled.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace standby_clone {

// A directory, by whatever name.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  uid_t owner = 0;
};

enum class Standing {
  kGone,       // no such process, or one that PostgreSQL, too, knows to be no server of this directory
  kElsewhere,  // works in another directory
  kHere,       // works in this one
  kHidden,     // lives, and where it works cannot be seen
};
// The process that a lock file of this directory names. A postmaster never leaves its directory.
Standing standing_of(long pid, const FileId& directory);

struct Worker {
  long pid = 0;
  std::string name;
};
// Those with this working directory: a server's all, and what they have started; not this process, what
// has started it, or what was started by the same command line.
std::vector<Worker> workers_in(const FileId& directory);

// Is any process attached to the shared memory of a server of this directory? PostgreSQL looks for the
// segment that postmaster.pid names and for that of the directory's inode; this looks at all.
bool is_shared_memory_in_use(const FileId& directory);

// Why a server of this directory could run and not be seen from here, in words; empty: it could not.
std::string why_not_all_is_seen(const std::string& directory);

}  // namespace standby_clone
