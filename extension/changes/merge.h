// merge.h: many summaries of the WAL as one, in constant memory, whatever their order in time: of each fork
// the smallest limit and every block that any of them names. Nothing is ever discarded: a block beyond a limit
// may have been written again since.
//
// A summary gives its forks sorted by tablespace, database, relation and fork, and the blocks of one sorted
// by windows of kWindow blocks, in no order within (blkreftable.h in PostgreSQL).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

namespace changes {

inline constexpr std::uint32_t kWindow = 65536;  // BLOCKS_PER_CHUNK of PostgreSQL

struct Fork {
  std::uint32_t tablespace = 0, database = 0, relation = 0;
  std::uint8_t fork = 0;
  std::uint32_t limit = 0;  // UINT32_MAX: none

  auto key() const { return std::tuple(tablespace, database, relation, fork); }
};

// Source: bool next(Fork&) goes to the next fork; unsigned blocks(std::uint32_t* to, unsigned most) takes
// blocks of it, 0 when there are no more. Taker: begin(const Fork&), add(first, count), end(); add() in
// ascending order; bool goes_on(), before each window.
template <class Source>
class Merge {
 public:
  // What one source needs here; the caller owns `lanes` for as long as this.
  struct Lane {
    Source* source = nullptr;
    Fork fork;
    bool has_fork = false;
    std::array<std::uint32_t, 256> buffer;
    unsigned at = 0, count = 0;
  };

  explicit Merge(std::span<Lane> lanes) : lanes_(lanes) {
    for (Lane& lane : lanes_) lane.has_fork = lane.source->next(lane.fork);
  }

  // One fork after the other; false when there are no more, or the taker does not go on.
  template <class Taker>
  bool next(Taker& taker) {
    Fork least;
    bool found = false;
    for (const Lane& lane : lanes_) {
      if (!lane.has_fork) continue;
      if (!found || lane.fork.key() < least.key()) least = lane.fork;
      else if (lane.fork.key() == least.key() && lane.fork.limit < least.limit) least.limit = lane.fork.limit;
      found = true;
    }
    if (!found) return false;
    taker.begin(least);
    bool goes_on;
    while ((goes_on = taker.goes_on()) && take_window(least, taker)) {
    }
    taker.end();
    if (!goes_on) return false;
    for (Lane& lane : lanes_)
      if (is_at(lane, least)) lane.has_fork = lane.source->next(lane.fork);
    return true;
  }

 private:
  static bool is_at(const Lane& lane, const Fork& fork) {
    return lane.has_fork && lane.fork.key() == fork.key();
  }
  static bool has_block(Lane& lane) {
    if (lane.at < lane.count) return true;
    lane.at = 0;
    lane.count = lane.source->blocks(lane.buffer.data(), static_cast<unsigned>(lane.buffer.size()));
    return lane.count > 0;
  }

  // The blocks of the lowest window that any source has left; false if none has.
  template <class Taker>
  bool take_window(const Fork& fork, Taker& taker) {
    std::uint32_t window = UINT32_MAX;
    for (Lane& lane : lanes_)
      if (is_at(lane, fork) && has_block(lane) && lane.buffer[lane.at] / kWindow < window)
        window = lane.buffer[lane.at] / kWindow;
    if (window == UINT32_MAX) return false;
    bits_.fill(0);
    for (Lane& lane : lanes_)
      while (is_at(lane, fork) && has_block(lane) && lane.buffer[lane.at] / kWindow == window) {
        std::uint32_t block = lane.buffer[lane.at++] % kWindow;
        bits_[block / 64] |= std::uint64_t{1} << block % 64;
      }
    give_ranges(window * kWindow, taker);
    return true;
  }

  template <class Taker>
  void give_ranges(std::uint32_t first, Taker& taker) {
    std::uint32_t begin = 0, count = 0;
    for (std::uint32_t block = 0; block < kWindow;) {
      std::uint64_t word = bits_[block / 64] >> block % 64;
      std::uint32_t left = 64 - block % 64;
      bool is_set = word & 1;
      auto run = static_cast<std::uint32_t>(is_set ? std::countr_one(word) : std::countr_zero(word));
      if (run > left) run = left;
      if (is_set) {
        if (count == 0) begin = block;
        count += run;
      } else if (count > 0) {
        taker.add(first + begin, count);
        count = 0;
      }
      block += run;
    }
    if (count > 0) taker.add(first + begin, count);
  }

  std::span<Lane> lanes_;
  std::array<std::uint64_t, kWindow / 64> bits_;
};

}  // namespace changes
