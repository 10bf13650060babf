// changes.h: whether of a stopped data directory only that has to come which the donor's WAL changed since, and of
// each of its files which blocks. What everything rests on: the directory has all up to one point on disk (its base),
// its pages reach no further than another, and up to there its WAL is the donor's. Then a block that no WAL from the
// base to the start of the backup names is the same on both, and what comes later is replayed.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "helper/delta/branch.h"
#include "helper/delta/change_list.h"
#include "helper/delta/last_records.h"
#include "helper/plan/file_list.h"
#include "helper/plan/ways.h"

namespace standby_clone {

struct Changes {
  Lsn since = 0;             // the base
  Lsn reach = 0;             // of its pages, at most
  bool was_primary = false;  // it may have written what no WAL tells
  std::uint64_t young_from = 0;  // the oldest transaction that may have done anything since the base
  std::string control_file;  // as it was when it was judged
  // The donor does not have the WAL any more that would prove whose this is: that it wrote these is to be proved, by their
  // pages, once the backup has begun. Empty: it is proved.
  std::vector<LastRecord> to_prove;
};

// Of a target that is a cluster. None if it is not right beyond doubt, or nobody knows; `why_not` is then filled in,
// in words that can follow "changes: ".
std::optional<Changes> judge_changes(const Target& target, const DonorWal& donor, std::string& why_not);

// Why the LSNs of pages do not tell all that changed; empty if they do.
std::string why_not_by_pages(const ChangesFacts& facts, bool has_checksums, int server_version);

// How each file of the list becomes current. Looks at each of them; before anything is written.
Ways ways_of(const FileList& files, const Target& target, const Changes& changes, const ChangesFacts& facts);

}  // namespace standby_clone
