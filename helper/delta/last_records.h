// last_records.h: whether the donor wrote what a stopped standby replayed last, though it does not have that WAL any
// more. The standby's own WAL is gone through from its end backwards: each record names blocks, and the donor's say
// whether it wrote that record, changed the block since, or went another way. At the first page that one and the same
// record wrote last on both, the two are one history up to there. Of everything later it is then known that the
// directory keeps nothing: its blocks have changed on the donor since, so they come, and its transactions ended there
// as they did here, so no hint bit tells otherwise. Hint bits are why the second is asked: a page that stays may tell
// of a transaction that ended on one side alone.
//
// Two servers made of one snapshot that do the same work may write one page alike at one position, and others not: older
// records are gone through as well, as far as they are there, and none may speak against.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "helper/delta/sample.h"

namespace standby_clone {

struct LastRecord {
  Lsn end = 0;
  std::vector<WalBlock> blocks;  // of main forks
  std::uint32_t transaction = 0;
  std::optional<bool> commits;   // how that ended by it, if it did
  bool shows_in_blocks = true;
};

// Those of the WAL of [from, until), the newest first, at most so many. `from`: where a record begins.
std::vector<LastRecord> last_records(const WalDirectory& wal, Lsn from, Lsn until, std::size_t most);

// What a block says, here and there, and where it was written last here.
struct BlockWord {
  PageWord word = PageWord::kNothing;
  Lsn position = 0;
};

// Both may wait for the donor; each block is asked once. `is_committed`: as the donor knows it; none: it does not.
struct DonorView {
  std::function<BlockWord(const WalBlock&)> look;
  std::function<std::optional<bool>(std::uint32_t transaction)> is_committed;
};

// Empty if it wrote them; otherwise why that is not known, in words that can follow "its WAL ...".
std::string why_not_proved(const std::vector<LastRecord>& newest_first, const DonorView& donor);

}  // namespace standby_clone
