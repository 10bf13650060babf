// gentle_pace_test.cpp: when a gentle clone steps back, and that it comes back.
#include "extension/sender/gentle_pace.h"

#include <gtest/gtest.h>

namespace sender {
namespace {

constexpr Strain kCalm{0, 0, 100, 200};

TEST(GentlePace, RunsFullWhereNothingIsKnown) {
  GentlePace pace{};
  EXPECT_EQ(judge_strain(pace, {-1, -1, -1, -1}), StrainKind::kNone);
  EXPECT_EQ(permille_of(pace), kFullPace);
  EXPECT_EQ(rest_us(permille_of(pace), 5000), 0u);
}

TEST(GentlePace, HalvesWhileAStandbyLagsAndComesBack) {
  GentlePace pace{};
  judge_strain(pace, kCalm);
  Strain strained = kCalm;
  strained.standby_lag_bytes = 200 << 20;
  EXPECT_EQ(judge_strain(pace, strained), StrainKind::kStandbyLag);
  EXPECT_EQ(permille_of(pace), kFullPace / 2);
  EXPECT_EQ(rest_us(permille_of(pace), 5000), 5000u);
  judge_strain(pace, strained);
  EXPECT_EQ(permille_of(pace), kFullPace / 4);
  for (int second = 0; second < 10; ++second) judge_strain(pace, kCalm);
  EXPECT_EQ(permille_of(pace), kFullPace);
}

TEST(GentlePace, LagInTimeCountsAsWell) {
  GentlePace pace{};
  judge_strain(pace, kCalm);
  Strain strained = kCalm;
  strained.standby_lag_ms = 5000;
  EXPECT_EQ(judge_strain(pace, strained), StrainKind::kStandbyLag);
}

TEST(GentlePace, LagThatWasThereBeforeIsNotOurs) {
  GentlePace pace{};
  Strain behind = kCalm;
  behind.standby_lag_bytes = std::int64_t{10} << 30;
  for (int second = 0; second < 5; ++second)
    EXPECT_EQ(judge_strain(pace, behind), StrainKind::kNone);
  behind.standby_lag_bytes = std::int64_t{30} << 30;
  EXPECT_EQ(judge_strain(pace, behind), StrainKind::kStandbyLag);
}

TEST(GentlePace, NeverComesToAStand) {
  GentlePace pace{};
  judge_strain(pace, kCalm);
  Strain strained = kCalm;
  for (int second = 1; second < 1000; ++second) {
    strained.wal_left_percent = 5;
    EXPECT_EQ(judge_strain(pace, strained), StrainKind::kWalLeft);
    EXPECT_GE(permille_of(pace), kLeastPace);
  }
}

TEST(GentlePace, SlowReadsCountAgainstWhatWasUsual) {
  GentlePace pace{};
  Strain seen = kCalm;
  seen.read_us = 20000;  // a slow disk, but always so
  for (int second = 0; second < 5; ++second)
    EXPECT_EQ(judge_strain(pace, seen), StrainKind::kNone);
  seen.read_us = 90000;
  EXPECT_EQ(judge_strain(pace, seen), StrainKind::kReads);
}

TEST(GentlePace, FastDiskThatGetsALittleSlowerIsNoStrain) {
  GentlePace pace{};
  Strain seen = kCalm;
  judge_strain(pace, seen);
  seen.read_us = 2000;
  EXPECT_EQ(judge_strain(pace, seen), StrainKind::kNone);
}

}  // namespace
}  // namespace sender
