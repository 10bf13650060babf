// change_list.cpp: adding up.
#include "helper/delta/change_list.h"

#include <algorithm>

#include "helper/base/failure.h"

namespace standby_clone {

void ChangeList::add(const protocol::Changed& changed) {
  protocol::Bytes rest = changed.forks;
  protocol::ChangedFork came;
  while (protocol::next_fork(rest, came)) {
    ++fork_count_;
    if (came.relation == 0) databases_.emplace(came.tablespace, came.database);
    // The other forks are compared.
    if (came.relation == 0 || came.fork != 0) continue;
    Fork& fork = forks_[{came.tablespace, came.database, came.relation}];
    fork.limit = std::min(fork.limit, came.limit);
    protocol::Reader read(came.ranges);
    for (std::uint32_t index = 0; index < came.range_count; ++index) {
      BlockRange range;
      read(range.first, range.count);
      fork.blocks.push_back(range);
    }
  }
  if (!rest.empty())
    fail(Kind::kCorrupted, "the donor's list of changes is malformed",
         "Check the network between the hosts, and that both run the same pg_standby_clone.");
}

std::optional<std::vector<BlockRange>> ChangeList::blocks_of(const protocol::MainFork& fork,
                                                             std::uint32_t segment_blocks) const {
  if (databases_.contains({fork.tablespace, fork.database})) return std::nullopt;
  std::vector<BlockRange> blocks;
  auto found = forks_.find({fork.tablespace, fork.database, fork.relation});
  if (found == forks_.end()) return blocks;
  std::uint64_t begin = std::uint64_t{fork.segment} * segment_blocks, end = begin + segment_blocks;
  auto add = [&](std::uint64_t first, std::uint64_t last) {
    first = std::max(first, begin);
    last = std::min(last, end);
    if (first < last)
      blocks.push_back({static_cast<std::uint32_t>(first - begin), static_cast<std::uint32_t>(last - first)});
  };
  for (const BlockRange& range : found->second.blocks) add(range.first, std::uint64_t{range.first} + range.count);
  if (found->second.limit != protocol::kNoLimit) add(found->second.limit, end);
  put_in_order(blocks);
  return blocks;
}

}  // namespace standby_clone
