// backoff_test.cpp: what is tried again, how long, and that a stop is heard.
#include "helper/base/backoff.h"

#include <gtest/gtest.h>

#include <thread>

namespace standby_clone {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

milliseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

const Failure kLost(Kind::kLostDonor, "server closed the connection", "Look at it.");

TEST(Backoff, waits_longer_each_time_until_it_worked) {
  StopSource stop;
  Backoff backoff(milliseconds(60000), stop);
  auto begin = Clock::now();
  backoff.wait_after(kLost);
  auto first = since(begin);
  EXPECT_GE(first, milliseconds(200));
  EXPECT_LT(first, milliseconds(390)) << "the first delay is short";
  begin = Clock::now();
  backoff.wait_after(kLost);
  EXPECT_GE(since(begin), milliseconds(400));
  backoff.worked();
  begin = Clock::now();
  backoff.wait_after(kLost);
  EXPECT_LT(since(begin), milliseconds(390)) << "a success did not reset the delay";
}

TEST(Backoff, ends_with_the_cause_when_patience_is_over) {
  StopSource stop;
  Backoff backoff(milliseconds(1000), stop);
  auto begin = Clock::now();
  int tries = 0;
  try {
    for (; tries < 20; ++tries) backoff.wait_after(kLost);
    FAIL() << "it never gave up";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kLostDonor);
    EXPECT_EQ(failure.message,
              "could not reach the donor again within 1 s: server closed the connection");
    EXPECT_EQ(failure.hint, "Look at it.");
  }
  EXPECT_GE(since(begin), milliseconds(1000)) << "patience was not used up";
  EXPECT_LT(since(begin), milliseconds(1500));
  EXPECT_GE(tries, 3);
}

TEST(Backoff, with_no_patience_there_is_no_second_try) {
  StopSource stop;
  Backoff backoff(milliseconds(0), stop);
  try {
    backoff.wait_after(kLost);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kLostDonor);
    EXPECT_EQ(failure.message, kLost.message);
  }
}

TEST(Backoff, throws_at_once_what_no_other_connection_helps_against) {
  StopSource stop;
  for (Kind kind : {Kind::kInternal, Kind::kUsage, Kind::kTargetRefused, Kind::kPreflight,
                    Kind::kCorrupted, Kind::kDisk, Kind::kCancelled, Kind::kSessionGone,
                    Kind::kDonorFailed, Kind::kLeaseOver}) {
    Backoff backoff(milliseconds(60000), stop);
    auto begin = Clock::now();
    try {
      backoff.wait_after(Failure(kind, "final"));
      ADD_FAILURE() << name_of(kind) << " was waited for";
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, kind);
      EXPECT_EQ(failure.message, "final");
    }
    EXPECT_LT(since(begin), milliseconds(100));
  }
  for (Kind kind : {Kind::kConnection, Kind::kBusy, Kind::kLostDonor}) {
    Backoff backoff(milliseconds(60000), stop);
    EXPECT_NO_THROW(backoff.wait_after(Failure(kind, "again"))) << name_of(kind);
  }
}

TEST(Backoff, hears_a_stop_and_an_end_while_it_waits) {
  StopSource signalled;
  StopSource stop(&signalled);
  Backoff backoff(milliseconds(60000), stop);
  for (int round = 0; round < 3; ++round) backoff.wait_after(kLost);
  auto begin = Clock::now();
  backoff.wait_after(kLost, [] { return true; });  // 1.6 s were due
  EXPECT_LT(since(begin), milliseconds(800));
  begin = Clock::now();
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    signalled.request();
  });
  try {
    backoff.wait_after(kLost);
    ADD_FAILURE() << "the stop was not heard";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kCancelled);
  }
  other.join();
  EXPECT_LT(since(begin), milliseconds(1000));
}

TEST(StopSource, a_childs_request_is_not_its_parents) {
  StopSource parent;
  StopSource child(&parent);
  child.request();
  EXPECT_TRUE(child.requested());
  EXPECT_FALSE(parent.requested());
  StopSource other(&parent);
  EXPECT_FALSE(other.requested());
  parent.request();
  EXPECT_TRUE(other.requested());
}

}  // namespace
}  // namespace standby_clone
