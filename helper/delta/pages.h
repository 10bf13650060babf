// pages.h: the donor's pages beside the directory's, within the backup and before anything is changed here: to prove
// whose the directory is where the donor's WAL is gone, and to see by chance whether what would stay may stay.
#pragma once

#include <functional>
#include <string>

#include "helper/delta/changes.h"

namespace standby_clone {

// So much of this file of the list as there is on the donor, on its disk; empty: none.
using ReadDonor = std::function<std::string(const std::string& path, std::uint64_t offset, std::uint32_t size)>;

// Of changes.to_prove. Empty: the directory is of the donor's history; otherwise why that is not known.
std::string why_not_of_one_history(const Changes& changes, const FileList& files, const Target& target,
                                   const ReadDonor& read);

// Some blocks that would stay, of all of them: at most 4 MB on each side, and no more than a moment. Empty if all may;
// otherwise which may not. `start` is where the backup begins.
std::string why_not_by_sample(const Changes& changes, const ChangesFacts& facts, Lsn start, const FileList& files,
                              const Target& target, const ReadDonor& read);

}  // namespace standby_clone
