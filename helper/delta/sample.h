// sample.h: what single pages of a directory, beside the donor's, say of whether both wrote one history.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "helper/delta/wal_records.h"

namespace standby_clone {

// What is known of the directory that a page is of.
struct Horizon {
  Lsn base = 0;   // all up to there is in its files
  Lsn reach = 0;  // no page of it was written by later WAL
};

enum class PageWord {
  kNothing,  // the donor has changed it since, or it was never logged
  kSame,     // written by one record, and the same but for what no WAL tells of
  kAgainst,  // the two wrote histories of their own, or one of the pages is damaged
};

// Both as they are on disk, the donor's read after the checkpoint that a backup begins with, which lies beyond
// `reach`. `block` is its number within the fork. The bytes are changed.
PageWord word_of(std::span<std::byte> ours, std::span<std::byte> theirs, std::uint32_t block, const Horizon& horizon);

// May a block that is not to come stay as it is here? `start` is where the backup begins: later changes are replayed.
// `newer_since`: what the donor wrote since, and what has no position, comes (by the LSN of pages). The bytes are
// changed.
bool may_stay(std::span<std::byte> ours, std::span<std::byte> theirs, std::uint32_t block, Lsn start,
              std::optional<Lsn> newer_since);

}  // namespace standby_clone
