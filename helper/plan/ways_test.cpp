// From blocks to pages of a chunk, against what a set of pages says.
#include "helper/plan/ways.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

namespace standby_clone {

static bool operator==(const PageRange& left, const PageRange& right) {
  return left.at == right.at && left.length == right.length;
}

namespace {

using Ranges = std::vector<PageRange>;
constexpr std::uint32_t kPage = 8192, kChunk = protocol::kChunkSize;
constexpr std::uint64_t kAll = std::uint64_t{1} << 40;

TEST(Ways, pages_of_a_chunk_are_those_of_its_blocks) {
  BlockSet blocks{{0, 1}, {127, 2}, {300, 1}};
  EXPECT_EQ(pages_to_fetch(blocks, kAll, kPage, 0, kChunk), (Ranges{{0, kPage}, {127 * kPage, kPage}}));
  EXPECT_EQ(pages_to_fetch(blocks, kAll, kPage, kChunk, kChunk), (Ranges{{0, kPage}}));
  EXPECT_EQ(pages_to_fetch(blocks, kAll, kPage, 2 * kChunk, kChunk), (Ranges{{44 * kPage, kPage}}));
  EXPECT_EQ(pages_to_fetch(blocks, kAll, kPage, 3 * kChunk, kChunk), Ranges{});
}

TEST(Ways, what_is_not_here_comes_as_a_whole) {
  EXPECT_EQ(pages_to_fetch({}, 0, kPage, 0, kChunk), (Ranges{{0, kChunk}}));
  EXPECT_EQ(pages_to_fetch({}, 3 * kPage, kPage, 0, 5 * kPage), (Ranges{{3 * kPage, 2 * kPage}}));
  EXPECT_EQ(pages_to_fetch({{2, 2}}, 3 * kPage, kPage, 0, 5 * kPage), (Ranges{{2 * kPage, 3 * kPage}}));
  EXPECT_EQ(pages_to_fetch({{1, 1}}, 3 * kPage, kPage, 0, 5 * kPage),
            (Ranges{{kPage, kPage}, {3 * kPage, 2 * kPage}}));
}

TEST(Ways, the_last_page_may_be_cut) {
  EXPECT_EQ(pages_to_fetch({{1, 1}}, kAll, kPage, 0, kPage + 100), (Ranges{{kPage, 100}}));
}

TEST(Ways, all_blocks_of_a_file) {
  EXPECT_EQ(pages_to_fetch({{10, 131072 - 10}}, kAll, kPage, 5 * std::uint64_t{kChunk}, kChunk),
            (Ranges{{0, kChunk}}));
}

TEST(Ways, whatever_the_order) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::set<std::uint32_t> set;
    BlockSet blocks;
    for (unsigned count = random() % 40; count > 0; --count) {
      BlockRange range{static_cast<std::uint32_t>(random() % 600), static_cast<std::uint32_t>(random() % 9)};
      blocks.add(range.first, range.count);
      for (std::uint32_t block = 0; block < range.count; ++block) set.insert(range.first + block);
    }
    std::uint64_t from = random() % 100, until = 500 + random() % 500;
    std::set<std::uint32_t> within, again;
    for (auto block : set)
      if (block >= from && block < until) within.insert(block);
    blocks.for_each(from, until, [&](const BlockRange& range) {
      for (std::uint32_t block = 0; block < range.count; ++block)
        EXPECT_TRUE(again.insert(range.first + block).second);
    });
    ASSERT_EQ(again, within);
    std::uint64_t here = random() % 700 * std::uint64_t{kPage};
    std::set<std::uint32_t> wanted, found;
    for (std::uint32_t block = 0; block < 640; ++block)
      if (set.contains(block) || block * std::uint64_t{kPage} >= here) wanted.insert(block);
    for (std::uint32_t chunk = 0; chunk < 5; ++chunk)
      for (const auto& range : pages_to_fetch(blocks, here, kPage, chunk * std::uint64_t{kChunk}, kChunk))
        for (std::uint32_t at = range.at; at < range.at + range.length; at += kPage)
          EXPECT_TRUE(found.insert(chunk * (kChunk / kPage) + at / kPage).second);
    ASSERT_EQ(found, wanted) << round;
  }
}

}  // namespace
}  // namespace standby_clone
