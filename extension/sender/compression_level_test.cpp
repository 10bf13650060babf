// compression_level_test.cpp: links, processors and data of all kinds, played to one
// stream's choice of its level.
#include "extension/sender/compression_level.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sender {
namespace {

// A donor's stream with a link of its own: sending and computing go on side by side, the
// slower one is the bound.
struct Rig {
  double link_mb_s = 100;       // what the link takes
  double helper_mb_s = 1e9;     // plain bytes that the helper takes
  double ratio = 0.5;           // what level 1 leaves of the data; others a little less
  double pack_mb_s = 400;       // level 1
  double base_mb_s = 1500;      // reading, checking, sending
  std::uint64_t now_us = 1;
  LevelControl control{};
  double plain_mb = 0;

  static constexpr double kSlowdown[] = {0, 1, 1.6, 3.2, 5, 7, 14};
  static constexpr double kRatioFactor[] = {1, 1, 0.96, 0.93, 0.91, 0.90, 0.895};

  double ratio_at(int step) const { return std::min(1.0, ratio * kRatioFactor[step]); }

  // Plain megabytes a second at this step.
  double speed(int step) const {
    double pack_s = step == 0 ? 0 : kSlowdown[step] / pack_mb_s;
    double compute = 1 / (1 / base_mb_s + pack_s);
    double link = link_mb_s / (step == 0 ? 1.0 : ratio_at(step));
    return std::min({compute, link, helper_mb_s});
  }

  void pass_window() {
    int step = control.step;
    constexpr double kSeconds = 0.1;
    double plain = speed(step) * kSeconds;  // MB
    double used_ratio = step == 0 ? 1.0 : ratio_at(step);
    double packed = step > 0 ? plain : control.wants_trial ? plain / 16 : 0;
    double packing_s = packed * kSlowdown[std::max(step, 1)] / pack_mb_s;
    double busy_s = plain / base_mb_s + packing_s;
    bool is_full = plain * used_ratio / kSeconds > link_mb_s * 0.99;
    Window window{};
    window.wall_us = static_cast<std::uint64_t>(kSeconds * 1e6);
    double link_s = is_full ? kSeconds * 0.97 : plain * used_ratio / link_mb_s;
    window.link_us = static_cast<std::uint64_t>(std::min(link_s, kSeconds) * 1e6);
    window.idle_us = static_cast<std::uint64_t>(std::max(0.0, kSeconds - busy_s) * 1e6);
    window.plain_bytes = static_cast<std::uint64_t>(plain * 1e6);
    window.wire_bytes = static_cast<std::uint64_t>(plain * used_ratio * 1e6);
    window.packed_bytes = static_cast<std::uint64_t>(packed * 1e6);
    window.packed_wire_bytes = static_cast<std::uint64_t>(packed * ratio_at(std::max(step, 1)) * 1e6);
    window.packing_us = static_cast<std::uint64_t>(packing_s * 1e6);
    now_us += window.wall_us;
    plain_mb += plain;
    judge_window(control, window, now_us);
  }

  void pass(double seconds) {
    for (int count = static_cast<int>(seconds * 10); count > 0; --count) pass_window();
  }

  double best_speed() const {
    double best = 0;
    for (int step = 0; step < kLevelSteps; ++step) best = std::max(best, speed(step));
    return best;
  }
};

TEST(CompressionLevel, StartsWithNone) {
  Rig rig;
  EXPECT_EQ(level_of(rig.control), 0);
}

TEST(CompressionLevel, AHoldKeepsNoClearGainAway) {
  Rig rig;
  rig.link_mb_s = 3;
  rig.pass(2);
  ASSERT_GE(rig.control.step, 1);
  // As after a moment in which the helper was what everybody waited for.
  rig.control.step = 0;
  rig.control.held_step = 1;
  rig.control.held_until_us = rig.now_us + 60000000;
  rig.pass(1);
  EXPECT_GE(rig.control.step, 1);
}

TEST(CompressionLevel, LoopbackStaysAtNoneAndTriesNothing) {
  Rig rig;
  rig.link_mb_s = 10000;
  for (int count = 0; count < 100; ++count) {
    rig.pass_window();
    ASSERT_EQ(level_of(rig.control), 0);
    ASSERT_FALSE(rig.control.wants_trial);
  }
}

TEST(CompressionLevel, HelperThatIsSlowIsNoReasonToCompress) {
  Rig rig;
  rig.link_mb_s = 1000;
  rig.helper_mb_s = 50;
  rig.pass(10);
  EXPECT_EQ(level_of(rig.control), 0);
}

TEST(CompressionLevel, GigabitLinkIsCompressedWithinASecond) {
  Rig rig;
  rig.link_mb_s = 30;  // a stream's share
  rig.pass(1);
  EXPECT_GE(level_of(rig.control), 1);
}

TEST(CompressionLevel, SlowLinkGetsAHighLevel) {
  Rig rig;
  rig.link_mb_s = 3;
  rig.pass(3);
  EXPECT_GE(level_of(rig.control), 7);
}

TEST(CompressionLevel, EveryLinkRunsNearTheBestOfAllLevels) {
  for (double link : {1.0, 3.0, 10.0, 25.0, 60.0, 110.0, 250.0, 600.0, 1200.0, 5000.0})
    for (double ratio : {0.1, 0.3, 0.5, 0.8, 1.0}) {
      Rig rig;
      rig.link_mb_s = link;
      rig.ratio = ratio;
      rig.pass(5);
      rig.plain_mb = 0;
      rig.pass(30);
      EXPECT_GE(rig.plain_mb / 30, rig.best_speed() * 0.75)
          << "link " << link << " MB/s, ratio " << ratio << ", level " << level_of(rig.control);
    }
}

TEST(CompressionLevel, NoLinkIsSlowerThanWithoutCompression) {
  for (double link : {1.0, 10.0, 60.0, 110.0, 200.0, 400.0, 800.0, 1600.0, 5000.0})
    for (double ratio : {0.1, 0.5, 0.9, 1.0}) {
      Rig rig;
      rig.link_mb_s = link;
      rig.ratio = ratio;
      rig.pass(30);
      EXPECT_GE(rig.plain_mb / 30, rig.speed(0) * 0.97)
          << "link " << link << " MB/s, ratio " << ratio << ", level " << level_of(rig.control);
    }
}

TEST(CompressionLevel, RestsOnceItHasFoundItsLevel) {
  Rig rig;
  rig.link_mb_s = 20;
  rig.pass(10);
  int changes = 0, last = level_of(rig.control);
  for (int count = 0; count < 300; ++count) {
    rig.pass_window();
    changes += level_of(rig.control) != last ? 1 : 0;
    last = level_of(rig.control);
  }
  EXPECT_LE(changes, 6);
}

TEST(CompressionLevel, IncompressibleDataIsSentAsItIs) {
  Rig rig;
  rig.link_mb_s = 10;
  rig.ratio = 1.0;
  rig.pass(10);
  EXPECT_EQ(level_of(rig.control), 0);
  // ... until it changes.
  rig.ratio = 0.4;
  rig.pass(5);
  EXPECT_GE(level_of(rig.control), 1);
}

TEST(CompressionLevel, FasterLinkBringsItDownAgain) {
  Rig rig;
  rig.link_mb_s = 3;
  rig.pass(5);
  ASSERT_GE(level_of(rig.control), 5);
  rig.link_mb_s = 10000;
  rig.pass(2);
  EXPECT_EQ(level_of(rig.control), 0);
}

// Compressed, the link is not full any more, and the helper's disk is the bound: no reason to
// fill the link again at once.
TEST(CompressionLevel, SlowHelperBehindASlowLinkKeepsItCompressed) {
  Rig rig;
  rig.link_mb_s = 30;
  rig.ratio = 0.1;
  rig.helper_mb_s = 60;
  rig.pass(2);
  rig.plain_mb = 0;
  int windows_at_none = 0;
  for (int count = 0; count < 600; ++count) {
    rig.pass_window();
    windows_at_none += level_of(rig.control) == 0 ? 1 : 0;
  }
  EXPECT_LT(windows_at_none, 60);
  EXPECT_GE(rig.plain_mb / 60, 55);
}

TEST(CompressionLevel, BusierProcessorBringsItDown) {
  Rig rig;
  rig.link_mb_s = 5;
  rig.pass(5);
  int before = level_of(rig.control);
  rig.pack_mb_s = 15;
  rig.pass(5);
  EXPECT_LT(level_of(rig.control), before);
  EXPECT_GE(level_of(rig.control), 1);
}

TEST(Incompressible, IsTriedAgainEverLessOften) {
  Incompressible state{};
  int tried = 0;
  for (int frame = 0; frame < 330; ++frame)
    if (worth_trying(state)) {
      ++tried;
      EXPECT_FALSE(note_packed(state, 131072, 131072));
    }
  EXPECT_LE(tried, 16);
  EXPECT_GE(tried, 10);
}

TEST(Incompressible, OneGoodFrameForgetsTheBadOnes) {
  Incompressible state{};
  for (int frame = 0; frame < 100; ++frame)
    if (worth_trying(state)) note_packed(state, 131072, 131072);
  while (!worth_trying(state)) {
  }
  EXPECT_TRUE(note_packed(state, 131072, 50000));
  EXPECT_TRUE(worth_trying(state));
}

}  // namespace
}  // namespace sender
