// base.cpp: the table of states.
#include "helper/delta/base.h"

#include <algorithm>
#include <fmt/format.h>

namespace standby_clone {

Base base_of(const ControlFile& control, const Traces& traces) {
  Base base;
  base.everything_up_to = traces.has_backup_label ? traces.label_start : control.redo;
  base.timeline = control.timeline;
  base.reach_timeline = control.timeline;
  if (traces.has_backup_label) {
    base.reach = traces.manifest_end;
    return base;
  }
  bool is_backup = control.backup_start != 0;
  // Where recovery had to come to, and what else it may have replayed.
  Lsn in_recovery = std::max(control.minimum_recovery, control.backup_end);
  switch (control.state) {
    case ClusterState::kShutDown:
      base.was_primary = base.is_in_order = true;
      // The caller knows where that record ends; it is the last one of all.
      if (traces.end_of_wal > control.checkpoint) base.reach = traces.end_of_wal;
      return base;
    case ClusterState::kShutDownInRecovery:
    case ClusterState::kInArchiveRecovery:
      if (control.minimum_recovery == 0) return base;
      base.is_in_order = control.state == ClusterState::kShutDownInRecovery;
      base.reach_timeline = control.minimum_recovery_timeline;
      if (is_backup) {
        base.reach = traces.manifest_end;
        base.is_in_order = false;
      } else {
        base.reach = in_recovery;
      }
      // Visibility flags and hints of aborts have no position that minimum_recovery would follow.
      if (base.reach && !base.is_in_order) base.reach = std::max(*base.reach, traces.end_of_wal);
      return base;
    default:
      base.was_primary = true;
      return base;
  }
}

std::string why_not_replayed(const ControlFile& control, const Base& base, Lsn checkpoint_end,
                             Lsn parting) {
  bool is_standby = control.state == ClusterState::kShutDownInRecovery ||
                    control.state == ClusterState::kInArchiveRecovery;
  if (!base.is_in_order && !is_standby)
    return "it crashed as a primary";
  if (!base.reach) return "how far its pages reach is not known";
  if (control.checkpoint >= parting || checkpoint_end > parting)
    return fmt::format("its last checkpoint, at {}, is of a history that the donor left at {}",
                       to_string(control.checkpoint), to_string(parting));
  if (*base.reach > parting)
    return fmt::format("its pages reach {}, beyond where it left the donor's history, {}",
                       to_string(*base.reach), to_string(parting));
  return "";
}

}  // namespace standby_clone
