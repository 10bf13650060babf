// branch.h: whether the WAL of a data directory is the donor's: both are hashed, piece by piece. For every way that
// trusts what is here.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "helper/base/lsn.h"
#include "helper/delta/wal_records.h"
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
};

using WalHash = std::array<std::byte, protocol::kChunkHashSize>;

struct DonorWal {
  std::function<DonorPast(Lsn since)> survey;
  // Of [from, to), at most protocol::kWalHashMax bytes; none if the donor does not have all of it.
  std::function<std::optional<WalHash>(Lsn from, Lsn to, std::uint64_t seed)> hash;
};

// The content of the directory's history file of that timeline; empty if there is none, as of the first.
std::string history_of(const Target& target, Timeline timeline);

// Files of other kinds of start than as a server that was stopped, or a standby that was one before. Empty: none.
std::string other_start_of(const Target& target);

// What `evidence` shows, from the beginning of its segment on. `from`: the donor is not asked for older WAL, where that suffices; no more than a bounded
// amount of the newest is looked at. `words` say what is the matter, if it is not kSame.
enum class Branch { kSame, kOther, kGone };
Branch compare_branches(const WalDirectory& wal, const DonorWal& donor, const Evidence& evidence, Lsn from,
                        std::string& words);

}  // namespace standby_clone
