// replay.h: whether a stopped data directory can become a standby of the donor by replaying WAL alone, and what
// has to be done to it then. Nothing is taken on trust: that two servers are on one timeline does not prove that
// they wrote one history, their WAL does.
#pragma once

#include <optional>
#include <string>

#include "helper/delta/branch.h"
#include "helper/disk/target.h"

namespace standby_clone {

struct Replay {
  Lsn from = 0;              // the donor's WAL is needed from here on, and is there
  std::string control_file;  // as it was when it was judged
  DonorPast past;
};

// Of a target that is a cluster. None if it is not right beyond doubt; `why_not` is then filled in, in words
// that can follow "replay: ".
std::optional<Replay> judge_replay(const Target& target, const DonorWal& donor, std::string& why_not);

// Of a target that has been claimed: what another life has left and would mislead the recovery goes, the donor's
// history comes. Durable on return.
void make_replayable(const Target& target, const Replay& replay);

}  // namespace standby_clone
