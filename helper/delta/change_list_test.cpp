// What holds of a fork is all that was said of it.
#include "helper/delta/change_list.h"

#include <gtest/gtest.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr std::uint32_t kSegmentBlocks = 131072;
using Blocks = BlockSet;

// As packed on the donor.
void say(ChangeList& list, std::uint32_t database, std::uint32_t relation, std::uint8_t number, std::uint32_t limit,
         const std::vector<BlockRange>& blocks) {
  std::vector<std::byte> bytes(64 + 8 * blocks.size());
  protocol::Writer writer(bytes);
  protocol::ChangedFork fork;
  fork.tablespace = 1663;
  fork.database = database;
  fork.relation = relation;
  fork.fork = number;
  fork.limit = limit;
  fork.range_count = static_cast<std::uint32_t>(blocks.size());
  protocol::ChangedFork::header(writer, fork);
  for (const auto& range : blocks) writer(range.first, range.count);
  list.add({protocol::Bytes(bytes).first(writer.size())});
}

std::optional<Blocks> blocks_of(const ChangeList& list, const char* path) {
  return list.blocks_of(*protocol::main_fork_of(path), kSegmentBlocks);
}

TEST(ChangeList, blocks_beyond_a_limit_said_before_or_after_stay) {
  for (bool is_before : {true, false}) {
    ChangeList list;
    if (is_before) say(list, 5, 16384, 0, 10, {});
    say(list, 5, 16384, 0, protocol::kNoLimit, {{3, 1}, {900, 2}});
    if (!is_before) say(list, 5, 16384, 0, 10, {});
    EXPECT_EQ(blocks_of(list, "base/5/16384"), (Blocks{{3, 1}, {10, kSegmentBlocks - 10}}));
    EXPECT_EQ(blocks_of(list, "base/5/16384.2"), (Blocks{{0, kSegmentBlocks}})) << "beyond the limit";
    EXPECT_EQ(list.fork_count(), 2u);
  }
}

TEST(ChangeList, the_smallest_limit_holds) {
  ChangeList list;
  for (std::uint32_t limit : {20, 7, 30}) say(list, 5, 16384, 0, limit, {});
  EXPECT_EQ(blocks_of(list, "base/5/16384"), (Blocks{{7, kSegmentBlocks - 7}}));
}

TEST(ChangeList, blocks_go_to_their_segments) {
  ChangeList list;
  say(list, 5, 16384, 0, protocol::kNoLimit, {{kSegmentBlocks - 1, 2}, {3 * kSegmentBlocks + 5, 1}});
  EXPECT_EQ(blocks_of(list, "base/5/16384"), (Blocks{{kSegmentBlocks - 1, 1}}));
  EXPECT_EQ(blocks_of(list, "base/5/16384.1"), (Blocks{{0, 1}}));
  EXPECT_EQ(blocks_of(list, "base/5/16384.2"), Blocks{});
  EXPECT_EQ(blocks_of(list, "base/5/16384.3"), (Blocks{{5, 1}}));
}

TEST(ChangeList, what_is_not_named_has_not_changed) {
  ChangeList list;
  say(list, 5, 16384, 0, protocol::kNoLimit, {{0, 1}});
  say(list, 5, 16385, 2, 0, {{0, 1}});
  EXPECT_EQ(blocks_of(list, "base/5/16385"), Blocks{}) << "another fork";
  EXPECT_EQ(blocks_of(list, "base/6/16384"), Blocks{}) << "another database";
  EXPECT_EQ(blocks_of(list, "global/16384"), Blocks{}) << "another tablespace";
}

TEST(ChangeList, of_a_database_that_was_made_single_blocks_say_nothing) {
  ChangeList list;
  say(list, 5, 0, 0, 0, {});
  EXPECT_EQ(blocks_of(list, "base/5/16384"), std::nullopt);
  EXPECT_EQ(blocks_of(list, "base/6/16384"), Blocks{});
  EXPECT_EQ(blocks_of(list, "pg_tblspc/16500/PG_15_202209061/5/16384"), Blocks{}) << "in another tablespace";
}

TEST(ChangeList, malformed_is_not_taken) {
  ChangeList list;
  std::vector<std::byte> bytes(protocol::ChangedFork::kHeaderSize - 1);
  EXPECT_THROW(list.add({bytes}), Failure);
}

}  // namespace
}  // namespace standby_clone
