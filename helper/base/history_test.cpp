// What a history file says, and where two part.
#include "helper/base/history.h"

#include <gtest/gtest.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

const std::string kOfThree =
    "1\t0/3000000\tno recovery target specified\n\n2\t0/5000000\tno recovery target specified\n";

TEST(History, says_which_timeline_a_position_is_of) {
  History history(3, kOfThree);
  EXPECT_EQ(history.timeline(), 3u);
  EXPECT_EQ(history.timeline_at(0x2FFFFFF), 1u);
  EXPECT_EQ(history.timeline_at(0x3000000), 2u);
  EXPECT_EQ(history.timeline_at(0x5000000), 3u);
  EXPECT_EQ(history.end_of(2), Lsn{0x5000000});
  EXPECT_EQ(history.end_of(3), kNoEnd);
  EXPECT_EQ(history.end_of(4), std::nullopt);
  EXPECT_EQ(history.begin_of(1), Lsn{0});
  EXPECT_EQ(history.begin_of(3), Lsn{0x5000000});
}

TEST(History, that_is_no_history_of_the_timeline_is_refused) {
  EXPECT_THROW(History(2, kOfThree), Failure);
  EXPECT_THROW(History(3, "1\tnonsense\treason\n"), Failure);
  EXPECT_THROW(History(3, "1\t0/5000000\t\n2\t0/3000000\t\n"), Failure);
  EXPECT_THROW(History(4, "2\t0/3000000\t\n1\t0/5000000\t\n"), Failure);
}

TEST(Parting, of_a_standby_that_follows_is_nowhere) {
  EXPECT_EQ(parting_of(History(1, ""), History(1, "")), kNoEnd);
  EXPECT_EQ(parting_of(History(3, kOfThree), History(3, kOfThree)), kNoEnd);
}

TEST(Parting, of_an_old_primary_is_where_its_timeline_was_left) {
  EXPECT_EQ(parting_of(History(1, ""), History(3, kOfThree)), Lsn{0x3000000});
  EXPECT_EQ(parting_of(History(2, "1\t0/3000000\t\n"), History(3, kOfThree)), Lsn{0x5000000});
}

TEST(Parting, of_a_promoted_standby_is_where_it_left) {
  EXPECT_EQ(parting_of(History(2, "1\t0/3000000\t\n"), History(1, "")), Lsn{0x3000000});
}

// Two standbys of one primary, promoted one after the other: the same number, other places.
TEST(Parting, of_two_timelines_of_one_number_is_the_earlier_end) {
  EXPECT_EQ(parting_of(History(2, "1\t0/2000000\t\n"), History(2, "1\t0/3000000\t\n")), Lsn{0x2000000});
  EXPECT_EQ(parting_of(History(3, "1\t0/4000000\t\n"), History(2, "1\t0/3000000\t\n")), Lsn{0x3000000});
}

// The same numbers and places may still be of twins: that is for the comparison of the WAL to find.
TEST(Parting, of_other_numbers_at_one_place_is_that_place) {
  EXPECT_EQ(parting_of(History(3, "1\t0/3000000\t\n"), History(2, "1\t0/3000000\t\n")), Lsn{0x3000000});
}

}  // namespace
}  // namespace standby_clone
