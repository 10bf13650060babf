// Merging, against what sets say.
#include "extension/changes/merge.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace changes {
namespace {

using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint8_t>;
struct Content {
  std::uint32_t limit = UINT32_MAX;
  std::set<std::uint32_t> blocks;
  bool operator==(const Content&) const = default;
};
using Table = std::map<Key, Content>;

// A summary as the server gives it: windows in order, blocks in them in none.
class Summary {
 public:
  Summary(const Table& table, unsigned seed) : random_(seed) {
    for (const auto& [key, content] : table) {
      std::map<std::uint32_t, std::vector<std::uint32_t>> windows;
      for (auto block : content.blocks) windows[block / kWindow].push_back(block);
      std::vector<std::uint32_t> blocks;
      for (auto& [window, some] : windows) {
        std::shuffle(some.begin(), some.end(), random_);
        blocks.insert(blocks.end(), some.begin(), some.end());
      }
      auto [tablespace, database, relation, fork] = key;
      forks_.push_back({{tablespace, database, relation, fork, content.limit}, blocks});
    }
  }
  bool next(Fork& fork) {
    if (at_ == forks_.size()) return false;
    fork = forks_[at_++].first;
    block_ = 0;
    return true;
  }
  unsigned blocks(std::uint32_t* to, unsigned most) {
    const auto& all = forks_[at_ - 1].second;
    auto count = std::min<std::size_t>(most, all.size() - block_);
    std::copy_n(all.begin() + block_, count, to);
    block_ += count;
    return static_cast<unsigned>(count);
  }

 private:
  std::mt19937 random_;
  std::vector<std::pair<Fork, std::vector<std::uint32_t>>> forks_;
  std::size_t at_ = 0, block_ = 0;
};

struct Taker {
  Table table;
  Content* now = nullptr;
  std::uint64_t next_free = 0;
  void begin(const Fork& fork) {
    EXPECT_FALSE(table.contains(fork.key()));
    now = &table[fork.key()];
    now->limit = fork.limit;
    next_free = 0;
  }
  void add(std::uint32_t first, std::uint32_t count) {
    EXPECT_GE(first, next_free);
    next_free = std::uint64_t{first} + count;
    for (std::uint32_t index = 0; index < count; ++index) now->blocks.insert(first + index);
  }
  void end() {
    now = nullptr;
    ++ended;
  }
  bool goes_on() { return asked++ < most_windows; }
  unsigned asked = 0, most_windows = UINT32_MAX, ended = 0;
};

Table merged(const std::vector<Table>& tables) {
  std::vector<Summary> summaries;
  for (unsigned index = 0; index < tables.size(); ++index) summaries.emplace_back(tables[index], index);
  std::vector<Merge<Summary>::Lane> lanes(tables.size());
  for (std::size_t index = 0; index < tables.size(); ++index) lanes[index].source = &summaries[index];
  Merge<Summary> merge(lanes);
  Taker taker;
  while (merge.next(taker)) {
  }
  return taker.table;
}

TEST(Merge, keeps_blocks_beyond_the_limit_of_another_summary) {
  Table before{{{1, 2, 3, 0}, {UINT32_MAX, {5, 900}}}};
  Table truncated{{{1, 2, 3, 0}, {10, {}}}};
  Table wanted{{{1, 2, 3, 0}, {10, {5, 900}}}};
  EXPECT_EQ(merged({before, truncated}), wanted);
  EXPECT_EQ(merged({truncated, before}), wanted);
}

TEST(Merge, asks_before_each_window_whether_it_goes_on) {
  Table table{{{1, 2, 3, 0}, {UINT32_MAX, {0, kWindow, 2 * kWindow, 3 * kWindow}}}, {{1, 2, 4, 0}, {UINT32_MAX, {0}}}};
  Summary summary(table, 1);
  Merge<Summary>::Lane lane;
  lane.source = &summary;
  Merge<Summary> merge(std::span(&lane, 1));
  Taker taker;
  taker.most_windows = 2;
  EXPECT_FALSE(merge.next(taker));
  EXPECT_EQ(taker.table, (Table{{{1, 2, 3, 0}, {UINT32_MAX, {0, kWindow}}}}));
  EXPECT_EQ(taker.ended, 1u) << "what was begun is ended";
}

TEST(Merge, of_nothing_is_nothing) {
  EXPECT_TRUE(merged({}).empty());
  EXPECT_TRUE(merged({{}, {}}).empty());
}

TEST(Merge, goes_to_the_last_block_there_can_be) {
  Table table{{{1, 2, 3, 0}, {UINT32_MAX, {0, 63, 64, kWindow - 1, kWindow, UINT32_MAX - 1}}}};
  EXPECT_EQ(merged({table}), table);
}

TEST(Merge, is_the_union_whatever_the_order) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<Table> tables(random() % 6 + 1);
    Table wanted;
    for (Table& table : tables)
      for (unsigned forks = random() % 8; forks > 0; --forks) {
        Key key{random() % 2, random() % 2, random() % 3, static_cast<std::uint8_t>(random() % 3)};
        Content& content = table[key];
        if (random() % 3 == 0) content.limit = std::min<std::uint32_t>(content.limit, random() % 100000);
        std::uint32_t from = random() % 200000, width = random() % 3 == 0 ? 3000 : 20;
        for (unsigned blocks = random() % 900; blocks > 0; --blocks) content.blocks.insert(from + random() % width);
        wanted[key].limit = std::min(wanted[key].limit, content.limit);
        wanted[key].blocks.insert(content.blocks.begin(), content.blocks.end());
      }
    ASSERT_EQ(merged(tables), wanted) << "round " << round;
    std::reverse(tables.begin(), tables.end());
    ASSERT_EQ(merged(tables), wanted) << "round " << round;
  }
}

}  // namespace
}  // namespace changes
