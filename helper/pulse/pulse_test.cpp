// pulse_test.cpp: it beats while others wait, and ends at once.
#include "helper/pulse/pulse.h"

#include <gtest/gtest.h>

#include <atomic>

namespace standby_clone {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(Pulse, beats_while_its_owner_is_held_up) {
  std::atomic<int> beats{0};
  Pulse pulse(milliseconds(5), [&] { ++beats; });
  auto limit = Clock::now() + std::chrono::seconds(10);
  while (beats < 10 && Clock::now() < limit) std::this_thread::yield();
  EXPECT_GE(beats, 10);
}

TEST(Pulse, ends_at_once_and_beats_no_more) {
  std::atomic<int> beats{0};
  auto began = Clock::now();
  { Pulse pulse(std::chrono::hours(1), [&] { ++beats; }); }
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(beats, 0);
}

}  // namespace
}  // namespace standby_clone
