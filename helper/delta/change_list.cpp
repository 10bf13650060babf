// change_list.cpp: adding up.
#include "helper/delta/change_list.h"

#include <algorithm>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

// Where nothing changed in so many blocks there is no set.
constexpr std::uint64_t kWindow = 65536;

// Calls what(window, first, count) of each window that has any of [begin, end), numbered within it.
template <class What>
void for_each_window(std::uint64_t begin, std::uint64_t end, What what) {
  while (begin < end) {
    std::uint64_t window = begin / kWindow, until = std::min(end, (window + 1) * kWindow);
    what(static_cast<std::uint32_t>(window), static_cast<std::uint32_t>(begin % kWindow),
         static_cast<std::uint32_t>(until - begin));
    begin = until;
  }
}

}  // namespace

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
      std::uint64_t end = std::min(std::uint64_t{range.first} + range.count, std::uint64_t{protocol::kNoLimit});
      for_each_window(range.first, end, [&](std::uint32_t window, std::uint32_t first, std::uint32_t count) {
        fork.windows[window].add(first, count);
      });
    }
  }
  if (!rest.empty())
    fail(Kind::kCorrupted, "the donor's list of changes is malformed",
         "Check the network between the hosts, and that both run the same pg_standby_clone.");
}

std::optional<BlockSet> ChangeList::blocks_of(const protocol::MainFork& fork, std::uint32_t segment_blocks) const {
  if (databases_.contains({fork.tablespace, fork.database})) return std::nullopt;
  BlockSet blocks;
  auto found = forks_.find({fork.tablespace, fork.database, fork.relation});
  if (found == forks_.end()) return blocks;
  const Fork& changed = found->second;
  std::uint64_t begin = std::uint64_t{fork.segment} * segment_blocks, end = begin + segment_blocks;
  for_each_window(begin, end, [&](std::uint32_t number, std::uint32_t first, std::uint32_t count) {
    auto window = changed.windows.find(number);
    if (window == changed.windows.end()) return;
    window->second.for_each(first, std::uint64_t{first} + count, [&](const BlockRange& range) {
      blocks.add(static_cast<std::uint32_t>(number * kWindow + range.first - begin), range.count);
    });
  });
  if (std::uint64_t from = std::max<std::uint64_t>(changed.limit, begin); changed.limit != protocol::kNoLimit && from < end)
    blocks.add(static_cast<std::uint32_t>(from - begin), static_cast<std::uint32_t>(end - from));
  return blocks;
}

}  // namespace standby_clone
