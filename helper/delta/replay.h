// replay.h: whether a stopped data directory can become a standby of the donor by replaying WAL alone, and what
// has to be done to it then. Nothing is taken on trust: that two servers are on one timeline does not prove that
// they wrote one history, their WAL does.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "helper/base/lsn.h"
#include "helper/disk/target.h"
#include "protocol/limits.h"

namespace standby_clone {

// What the donor says of its WAL.
struct DonorPast {
  Lsn flushed = 0;
  bool has_wal = false;  // all from what it was asked for up to there
  Timeline timeline = 0;
  std::string history;   // of that timeline: its history file
  std::string custom_managers;   // resource managers of extensions
  bool all_databases_young = false;
  std::set<std::uint32_t> young_databases;  // may have been copied file by file since
};

using WalHash = std::array<std::byte, protocol::kChunkHashSize>;

struct DonorWal {
  std::function<DonorPast(Lsn since, std::uint64_t young_from)> survey;
  // Of [from, to), at most protocol::kWalHashMax bytes; none if the donor does not have all of it.
  std::function<std::optional<WalHash>(Lsn from, Lsn to, std::uint64_t seed)> hash;
};

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
