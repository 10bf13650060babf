// stream_growth_test.cpp: how many streams a copy ends up with, on machines that are played.
#include "helper/stream/stream_growth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace standby_clone {
namespace {

// `speed`: bytes a second with so many streams. Returns the number after `seconds`.
std::uint16_t play(StreamGrowth& growth, const std::function<double(unsigned)>& speed,
                   double seconds, std::uint16_t spare = 100, double from = 0) {
  double bytes = 0;
  for (double now = from; now < from + seconds; now += 0.2) {
    growth.judge(now, static_cast<std::uint64_t>(bytes), spare);
    bytes += speed(growth.count()) * 0.2;
  }
  return growth.count();
}

TEST(StreamGrowth, StartsWithFourOrWhatTheDonorCanSpare) {
  EXPECT_EQ(StreamGrowth(16, 100).count(), 4);
  EXPECT_EQ(StreamGrowth(3, 100).count(), 3);
  EXPECT_EQ(StreamGrowth(16, 2).count(), 2);
  EXPECT_EQ(StreamGrowth(16, 0).count(), 1);
}

TEST(StreamGrowth, StartsWithOneWhereTheDonorAllowsOne) {
  StreamGrowth growth(1, 100);
  EXPECT_EQ(play(growth, [](unsigned count) { return 1e8 * count; }, 10), 1);
}

TEST(StreamGrowth, GrowsToTheLimitWhileItHelps) {
  StreamGrowth growth(16, 100);
  EXPECT_EQ(play(growth, [](unsigned count) { return 1e8 * count; }, 8), 16);
}

TEST(StreamGrowth, StopsSoonWhereTheLinkIsFull) {
  StreamGrowth growth(16, 100);
  EXPECT_LE(play(growth, [](unsigned) { return 1e8; }, 8), 6);
  EXPECT_TRUE(growth.has_just_settled());
  EXPECT_FALSE(growth.has_just_settled());
}

TEST(StreamGrowth, FindsTheKnee) {
  StreamGrowth growth(32, 100);
  std::uint16_t count =
      play(growth, [](unsigned streams) { return 1e8 * std::min(streams, 6u); }, 8);
  EXPECT_GE(count, 6);
  EXPECT_LE(count, 13);
}

TEST(StreamGrowth, LeavesConnectionsToOthers) {
  StreamGrowth growth(16, 100);
  EXPECT_EQ(play(growth, [](unsigned count) { return 1e8 * count; }, 8, 0), 4);
}

TEST(StreamGrowth, RefusedStreamEndsIt) {
  StreamGrowth growth(16, 100);
  play(growth, [](unsigned count) { return 1e8 * count; }, 1.2);
  growth.refuse();
  std::uint16_t count = growth.count();
  EXPECT_EQ(play(growth, [](unsigned count) { return 1e8 * count; }, 60, 100, 2), count);
}

TEST(StreamGrowth, AsksAgainLater) {
  StreamGrowth growth(16, 100);
  std::uint16_t first = play(growth, [](unsigned) { return 1e8; }, 5);
  std::uint16_t later =
      play(growth, [](unsigned count) { return 1e8 * count; }, 30, 100, 5);
  EXPECT_GT(later, first);
}

TEST(StreamGrowth, NothingIsMeasuredBeforeTheFirstByte) {
  StreamGrowth growth(16, 100);
  EXPECT_EQ(play(growth, [](unsigned) { return 0.0; }, 8), 4);
}

TEST(StreamGrowth, NamesTheGreatestBound) {
  EXPECT_EQ(name_of_bound({90, 3, 5, 1, 4}), "the link");
  EXPECT_EQ(name_of_bound({10, 70, 5, 1, 4}), "the donor's disk");
  EXPECT_EQ(name_of_bound({10, 0, 20, 60, 30}), "this host's disk");
  EXPECT_EQ(name_of_bound({10, 0, 80, 20, 30}), "the donor's processors");
  EXPECT_EQ(name_of_bound({10, 0, 20, 20, 60}), "this host's processors");
}

}  // namespace
}  // namespace standby_clone
