// base.h: what a stopped data directory is, as far as moving only what changed must know: up to where
// its files have everything, how far its pages may reach, and where it left the donor's history.
#pragma once

#include <optional>

#include "helper/base/history.h"
#include "helper/delta/wal_records.h"
#include "helper/disk/control_file.h"

namespace standby_clone {

// What only the directory itself tells, beside its pg_control.
struct Traces {
  bool has_backup_label = false;
  Lsn label_start = 0;                 // START WAL LOCATION of its backup_label
  std::optional<Lsn> manifest_end;     // the largest End-LSN of its backup_manifest
  Lsn end_of_wal = 0;                  // of the last valid record in its pg_wal; 0: none can be read
};

struct Base {
  Lsn everything_up_to = 0;            // on disk: redo of its last (restart)point, or its backup's start
  Timeline timeline = 0;               // of that
  std::optional<Lsn> reach;            // how far its pages may reach; none: that is not known
  Timeline reach_timeline = 0;
  bool was_primary = false;            // it may have written WAL of its own
  bool is_in_order = false;            // shut down, as a primary or in recovery
};

// The table of states. Not for an unfinished clone of ours, whose journal knows more.
Base base_of(const ControlFile& control, const Traces& traces);

// May `base` become a standby of a server with history `donor` by replay alone? Empty if it may as far as
// the directory tells; otherwise why not, in words for people. `parting` is where it left the donor's history.
std::string why_not_replayed(const ControlFile& control, const Base& base, Lsn checkpoint_end,
                             Lsn parting);

}  // namespace standby_clone
