// branch.cpp: hashing, here and there.
#include "helper/delta/branch.h"

#include <algorithm>
#include <fmt/format.h>
#include <random>

#include "protocol/hash.h"

namespace standby_clone {
namespace {

// So much of the newest WAL is compared at most, if the proof does not need more: it is read on both sides
// before anything else happens.
constexpr Lsn kProofMax = 4 * protocol::kWalHashMax;

std::optional<WalHash> hash_of(const WalDirectory& wal, Lsn from, Lsn to, std::uint64_t seed) {
  protocol::ContentHasher hash(seed);
  if (!wal.read(from, to, [&](auto bytes) { hash.add(bytes.data(), bytes.size()); })) return std::nullopt;
  return hash.value();
}

}  // namespace

std::string history_of(const Target& target, Timeline timeline) {
  std::string path = "pg_wal/" + history_file_name(timeline);
  return timeline > 1 && target.open_local(path) ? target.read_file(path) : "";
}

std::string other_start_of(const Target& target) {
  for (const char* name : {"backup_label", "tablespace_map", "recovery.signal"})
    if (target.tree().status(name)) return name;
  return "";
}

Branch compare_branches(const WalDirectory& wal, const DonorWal& donor, const Evidence& evidence, Lsn from,
                        std::string& words) {
  Lsn recent = evidence.to > kProofMax ? evidence.to - kProofMax : 0;
  // Two servers can be stopped at one LSN in one second, and their last records be the same. Both have whole segments.
  Lsn begin = segment_start(std::min(evidence.from, std::max(from, recent)), wal.segment_size());
  std::random_device random;
  for (Lsn at = begin; at < evidence.to;) {
    Lsn end = std::min<Lsn>(evidence.to, at + protocol::kWalHashMax);
    std::uint64_t seed = std::uint64_t{random()} << 32 | random();
    auto theirs = donor.hash(at, end, seed);
    if (!theirs) {
      words = fmt::format("the donor does not have the WAL up to {}", to_string(evidence.to));
      return Branch::kGone;
    }
    if (theirs != hash_of(wal, at, end, seed)) {
      words = fmt::format("its WAL from {} on is another one than the donor's: it went its own way", to_string(at));
      return Branch::kOther;
    }
    at = end;
  }
  return Branch::kSame;
}

}  // namespace standby_clone
