// last_records.cpp: from the end backwards.
#include "helper/delta/last_records.h"

#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <map>

namespace standby_clone {
namespace {

// Read one after the other, over whatever link there is.
constexpr std::size_t kBlocksMax = 128;

}  // namespace

std::vector<LastRecord> last_records(const WalDirectory& wal, Lsn from, Lsn until, std::size_t most) {
  std::deque<LastRecord> last;
  WalRecords records(wal, from);
  while (records.at() < until) {
    auto record = records.next();
    if (!record || record->end > until) break;
    LastRecord one{record->end, {}, record->transaction, record->commits(), record->shows_in_blocks()};
    for (const WalBlock& block : record->blocks)
      if (block.fork == 0) one.blocks.push_back(block);
    last.push_back(std::move(one));
    if (last.size() > most) last.pop_front();
  }
  return {last.rbegin(), last.rend()};
}

std::string why_not_proved(const std::vector<LastRecord>& newest_first, const DonorView& donor) {
  std::map<WalBlock, BlockWord> seen;
  bool is_proved = false;
  for (const LastRecord& record : newest_first) {
    if (!is_proved && !record.shows_in_blocks)
      return fmt::format("holds a record up to {} of which no page tells whether the donor wrote it",
                         to_string(record.end));
    for (const WalBlock& block : record.blocks) {
      auto known = seen.find(block);
      if (known == seen.end()) {
        if (seen.size() == kBlocksMax && is_proved) return "";
        if (seen.size() == kBlocksMax) return "names too many blocks last that the donor has changed since";
        known = seen.emplace(block, donor.look(block)).first;
      }
      const auto& [word, position] = known->second;
      if (word == PageWord::kAgainst)
        return fmt::format("wrote block {} of relation {}/{}/{} otherwise than the donor", block.block,
                           block.tablespace, block.database, block.relation);
      // A record may name a page and leave its position alone.
      is_proved |= word == PageWord::kSame && position == record.end;
    }
    // An abort that the donor never came to write is one, too.
    if (!is_proved && record.commits && donor.is_committed(record.transaction) != record.commits)
      return fmt::format("ended transaction {} otherwise than the donor", record.transaction);
  }
  return is_proved ? "" : "wrote no page last that is still the same on the donor";
}

}  // namespace standby_clone
