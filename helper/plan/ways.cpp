// ways.cpp: from blocks to pages of a chunk.
#include "helper/plan/ways.h"

#include <algorithm>
#include <bit>

namespace standby_clone {

void BlockSet::add(std::uint32_t first, std::uint32_t count) {
  if (count == 0) return;
  std::uint64_t end = std::uint64_t{first} + count;
  if (bits_.size() * 64 < end) bits_.resize((end + 63) / 64);
  for (std::uint64_t at = first; at < end;) {
    std::uint64_t until = std::min(end, (at / 64 + 1) * 64);
    bits_[at / 64] |= ~std::uint64_t{0} >> (64 - (until - at)) << at % 64;
    at = until;
  }
}

BlockRange BlockSet::next(std::uint64_t from, std::uint64_t until) const {
  until = std::min(until, std::uint64_t{bits_.size()} * 64);
  std::uint64_t first = find(from, until, true);
  if (first >= until) return {};
  return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(find(first, until, false) - first)};
}

// The first one in [from, until) that is named, or is not; `until` if there is none.
std::uint64_t BlockSet::find(std::uint64_t from, std::uint64_t until, bool is_named) const {
  for (std::uint64_t at = from; at < until; at = (at / 64 + 1) * 64) {
    std::uint64_t word = (is_named ? bits_[at / 64] : ~bits_[at / 64]) >> at % 64;
    if (word != 0) return std::min(at + std::countr_zero(word), until);
  }
  return until;
}

std::vector<PageRange> pages_to_fetch(const BlockSet& blocks, std::uint64_t here, std::uint32_t block_size,
                                      std::uint64_t offset, std::uint32_t length) {
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
  // Of the blocks that begin here.
  std::uint64_t until = (std::min(here, offset + length) + block_size - 1) / block_size;
  blocks.for_each(offset / block_size, until, [&](const BlockRange& range) {
    add(std::uint64_t{range.first} * block_size, (std::uint64_t{range.first} + range.count) * block_size);
  });
  add(here, UINT64_MAX);
  return ranges;
}

}  // namespace standby_clone
