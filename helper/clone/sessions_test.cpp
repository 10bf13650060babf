// sessions_test.cpp: sessions that end one after the other, at times that the test says.
#include "helper/clone/sessions.h"

#include <gtest/gtest.h>
#include <optional>

namespace standby_clone {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Row {
  SessionsInARow sessions;
  SessionsInARow::Clock::time_point now{};

  // Waits as it is told to; each session lasts `lasted`.
  milliseconds lose(std::uint64_t bytes_done, seconds lasted, Kind kind = Kind::kSessionGone,
                    std::set<std::string> crashed_over = {}) {
    now += lasted;
    auto wait = sessions.wait_after({Failure(kind, "it is gone"), bytes_done, crashed_over}, now);
    now += wait;
    return wait;
  }
};

std::optional<Failure> failure_of(const std::function<void()>& code) {
  try {
    code();
  } catch (const Failure& failure) {
    return failure;
  }
  return std::nullopt;
}

TEST(SessionsInARow, go_on_at_once_while_each_comes_further) {
  Row row;
  for (std::uint64_t bytes = 1; bytes < 100; ++bytes)
    EXPECT_EQ(row.lose(bytes, seconds(61)), milliseconds(0));
}

TEST(SessionsInARow, are_no_more_than_three_a_minute) {
  Row row;
  auto began = row.now;
  for (std::uint64_t bytes = 1; bytes <= 30; ++bytes) row.lose(bytes, seconds(1));
  EXPECT_GE(row.now - began, seconds(9 * 60));
  EXPECT_LE(row.now - began, seconds(30 * 60 / 2));
}

TEST(SessionsInARow, wait_longer_each_time_and_end_where_none_comes_further) {
  Row row;
  row.lose(1000, seconds(600));
  milliseconds before{0};
  for (int count = 1; count < 10; ++count) {
    auto wait = row.lose(1000, seconds(600));
    EXPECT_TRUE(wait > before || wait == seconds(60)) << count;
    before = wait;
  }
  auto failure = failure_of([&] { row.lose(999, seconds(600)); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(exit_code(failure->kind), 9);
  EXPECT_NE(failure->message.find("it is gone"), std::string::npos);
}

TEST(SessionsInARow, of_which_nothing_comes_end_from_the_first_one_on) {
  Row row;
  int count = 0;
  while (!failure_of([&] { row.lose(0, seconds(600)); })) ++count;
  EXPECT_EQ(count, 9);
}

TEST(SessionsInARow, end_when_the_donor_crashes_twice_over_one_file) {
  Row row;
  row.lose(10, seconds(5), Kind::kSessionGone, {"base/5/1", "base/5/2"});
  row.lose(20, seconds(5), Kind::kSessionGone, {"base/5/3"});
  auto failure = failure_of(
      [&] { row.lose(30, seconds(5), Kind::kSessionGone, {"base/5/3", "base/5/4"}); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(exit_code(failure->kind), 9);
  EXPECT_NE(failure->message.find("\"base/5/3\""), std::string::npos);
}

TEST(SessionsInARow, forget_a_crash_after_a_session_without_one) {
  Row row;
  row.lose(10, seconds(5), Kind::kSessionGone, {"base/5/1"});
  row.lose(20, seconds(5));
  EXPECT_FALSE(failure_of([&] { row.lose(30, seconds(5), Kind::kSessionGone, {"base/5/1"}); }));
}

TEST(SessionsInARow, end_when_the_lease_is_twice_too_short_for_anything_to_come) {
  Row row;
  row.lose(0, seconds(10), Kind::kLeaseOver);
  auto failure = failure_of([&] { row.lose(0, seconds(10), Kind::kLeaseOver); });
  ASSERT_TRUE(failure);
  EXPECT_NE(failure->hint.find("reconnect_timeout"), std::string::npos);
}

TEST(SessionsInARow, go_on_after_leases_that_end_in_mid_copy) {
  Row row;
  for (std::uint64_t bytes = 1; bytes < 20; ++bytes)
    EXPECT_FALSE(failure_of([&] { row.lose(bytes, seconds(400), Kind::kLeaseOver); }));
}

}  // namespace
}  // namespace standby_clone
