// ways.cpp: from blocks to pages of a chunk.
#include "helper/plan/ways.h"

#include <algorithm>

namespace standby_clone {

std::vector<PageRange> pages_to_fetch(const std::vector<BlockRange>& blocks, std::uint64_t here,
                                      std::uint32_t block_size, std::uint64_t offset, std::uint32_t length) {
  std::vector<PageRange> ranges;
  // Both within the file, the second not beyond the chunk.
  auto add = [&](std::uint64_t begin, std::uint64_t end) {
    begin = std::max(begin, offset);
    end = std::min(end, offset + length);
    if (begin >= end) return;
    auto at = static_cast<std::uint32_t>(begin - offset), until = static_cast<std::uint32_t>(end - offset);
    if (!ranges.empty() && ranges.back().at + ranges.back().length >= at)
      ranges.back().length = std::max(ranges.back().at + ranges.back().length, until) - ranges.back().at;
    else
      ranges.push_back({at, until - at});
  };
  auto range = std::partition_point(blocks.begin(), blocks.end(), [&](const BlockRange& before) {
    return (std::uint64_t{before.first} + before.count) * block_size <= offset;
  });
  for (; range != blocks.end() && std::uint64_t{range->first} * block_size < std::min(here, offset + length); ++range)
    add(std::uint64_t{range->first} * block_size, (std::uint64_t{range->first} + range->count) * block_size);
  add(here, UINT64_MAX);
  return ranges;
}

void put_in_order(std::vector<BlockRange>& blocks) {
  std::sort(blocks.begin(), blocks.end(),
            [](const BlockRange& left, const BlockRange& right) { return left.first < right.first; });
  std::size_t kept = 0;
  for (const BlockRange& range : blocks) {
    if (kept > 0 && std::uint64_t{blocks[kept - 1].first} + blocks[kept - 1].count >= range.first) {
      std::uint64_t end = std::max(std::uint64_t{blocks[kept - 1].first} + blocks[kept - 1].count,
                                   std::uint64_t{range.first} + range.count);
      blocks[kept - 1].count = static_cast<std::uint32_t>(end - blocks[kept - 1].first);
    } else {
      blocks[kept++] = range;
    }
  }
  blocks.resize(kept);
}

}  // namespace standby_clone
