// sample.cpp: comparing.
#include "helper/delta/sample.h"

#include <algorithm>

#include "protocol/page_mask.h"

namespace standby_clone {
namespace {

// Positions below are of nobody's WAL: FirstNormalUnloggedLSN.
constexpr Lsn kFirstOfWal = 1000;

// What no server writes has none.
std::optional<Lsn> position_of(std::span<const std::byte> page) {
  if (protocol::page::is_new(page)) return 0;
  if (!protocol::page::has_sound_header(page)) return std::nullopt;
  return protocol::page::position_of(page);
}

bool are_alike(std::span<std::byte> ours, std::span<std::byte> theirs, std::uint32_t block) {
  return protocol::mask_page(ours, block) && protocol::mask_page(theirs, block) &&
         std::equal(ours.begin(), ours.end(), theirs.begin());
}

}  // namespace

PageWord word_of(std::span<std::byte> ours, std::span<std::byte> theirs, std::uint32_t block, const Horizon& horizon) {
  if (ours.size() != theirs.size()) return PageWord::kNothing;
  auto mine = position_of(ours), donors = position_of(theirs);
  if (!mine || !donors) return PageWord::kAgainst;
  if (*mine < kFirstOfWal) return PageWord::kNothing;
  // Summaries do not name what was never logged: were this page kept, it might be of another history.
  if (*donors < kFirstOfWal) return PageWord::kAgainst;
  // More than it can have replayed.
  if (*mine > horizon.reach) return PageWord::kAgainst;
  if (*donors > horizon.reach) return PageWord::kNothing;
  // The donor has on disk what it wrote up to there; what the directory had in memory alone was written after its base.
  if (*mine > *donors || (*mine < *donors && *donors < horizon.base)) return PageWord::kAgainst;
  if (*mine < *donors) return PageWord::kNothing;
  return are_alike(ours, theirs, block) ? PageWord::kSame : PageWord::kAgainst;
}

bool may_stay(std::span<std::byte> ours, std::span<std::byte> theirs, std::uint32_t block, Lsn start,
              std::optional<Lsn> newer_since) {
  auto mine = position_of(ours), donors = position_of(theirs);
  if (!mine || !donors) return false;
  if (*donors >= start || (newer_since && (*donors >= *newer_since || *donors < kFirstOfWal))) return true;
  if (*mine < kFirstOfWal && *donors < kFirstOfWal) return true;
  return *mine == *donors && are_alike(ours, theirs, block);
}

}  // namespace standby_clone
