// leftovers.h: what a used directory holds and the donor does not have. What is the server's own
// goes; what is not is kept, reported, and put into the manifest (traps 83 and 85). Looking is apart from
// removing: what cannot be done is known before anything is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

#include "helper/disk/target.h"
#include "helper/plan/file_list.h"

namespace standby_clone {

struct KeptFile {
  std::string path;  // relative to the data directory
  std::uint64_t size = 0;
  std::int64_t modified = 0;
};

struct Leftovers {
  std::vector<std::string> to_remove;     // files and directories of the server, each with all in it
  std::map<dev_t, std::uint64_t> room;    // bytes that these take, by file system
  std::vector<std::string> kept_entries;  // of the top level: files and directories of somebody
  std::vector<KeptFile> kept_files;       // all files in them
  std::vector<std::string> unreadable;    // of what is kept: cannot go into the manifest
  std::vector<std::string> unremovable;   // directories that somebody else's rights keep as they are
  std::vector<std::string> abandoned;     // tablespace directories that are not used any more
};

// All WAL of an earlier life goes (trap 83); of the same session it is gone on with.
enum class OldWal { kGoes, kStays };

// Looks only; needs no layout. Links are never followed.
Leftovers look_for_leftovers(const Target& target, const FileList& list, OldWal wal);
// Needs: pg_control has no name any more; the layout.
void remove_leftovers(const Target& target, const Leftovers& leftovers);

}  // namespace standby_clone
