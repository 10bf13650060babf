// A standby's last records against what a donor says of their blocks.
#include "helper/delta/last_records.h"

#include <gtest/gtest.h>

namespace standby_clone {
namespace {

WalBlock block(std::uint32_t number) { return {1663, 5, 16384, 0, number}; }

class LastRecords : public testing::Test {
 protected:
  // The newer ones first, as they are gone through.
  void wrote(Lsn end, std::vector<WalBlock> blocks) { records_.push_back({end, std::move(blocks), 700, {}, true}); }
  void ended(std::uint32_t transaction, bool commits) { records_.push_back({500, {}, transaction, commits, true}); }
  void says(std::uint32_t number, PageWord word, Lsn position = 0) { words_[block(number)] = {word, position}; }

  std::string why_not() {
    asked_.clear();
    return why_not_proved(records_, {[&](const WalBlock& which) {
                                       asked_.push_back(which.block);
                                       return words_[which];
                                     },
                                     [&](std::uint32_t transaction) -> std::optional<bool> {
                                       auto found = states_.find(transaction);
                                       if (found == states_.end()) return std::nullopt;
                                       return found->second;
                                     }});
  }
  void expect_proved() { EXPECT_EQ(why_not(), ""); }
  void expect_not(const std::string& words) { EXPECT_NE(why_not().find(words), std::string::npos) << why_not(); }

  std::vector<LastRecord> records_;
  std::map<WalBlock, BlockWord> words_;
  std::map<std::uint32_t, bool> states_;
  std::vector<std::uint32_t> asked_;
};

TEST_F(LastRecords, the_newest_page_that_both_have_proves_all_before_it) {
  wrote(900, {block(1)});
  wrote(800, {block(2), block(3)});
  wrote(700, {block(4)});
  ended(701, true);
  records_.push_back({400, {}, 0, {}, false});
  says(1, PageWord::kNothing);
  says(2, PageWord::kNothing);
  says(3, PageWord::kSame, 800);
  says(4, PageWord::kNothing);
  expect_proved();
  EXPECT_EQ(asked_, (std::vector<std::uint32_t>{1, 2, 3, 4}));
}

// Two servers of one snapshot that do the same work write alike, but for what is of their own.
TEST_F(LastRecords, an_older_one_that_was_written_otherwise_refuses_too) {
  wrote(900, {block(1)});
  wrote(800, {block(2)});
  says(1, PageWord::kSame, 900);
  says(2, PageWord::kAgainst);
  expect_not("otherwise than the donor");
}

TEST_F(LastRecords, one_that_was_written_otherwise_is_enough_to_refuse) {
  wrote(900, {block(1)});
  wrote(800, {block(2)});
  says(1, PageWord::kAgainst);
  says(2, PageWord::kSame, 800);
  expect_not("otherwise than the donor");
}

// Setting a flag of a page need not move its position: a twin that vacuums names pages of the common past.
TEST_F(LastRecords, a_page_that_the_record_named_and_did_not_write_proves_nothing) {
  wrote(900, {block(1)});
  says(1, PageWord::kSame, 400);
  expect_not("no page last");
  wrote(400, {block(1)});
  expect_proved();
  EXPECT_EQ(asked_.size(), 1u) << "a block is asked once";
}

TEST_F(LastRecords, transactions_after_it_ended_alike) {
  ended(701, true);
  ended(702, false);
  wrote(400, {block(1)});
  says(1, PageWord::kSame, 400);
  expect_not("ended transaction 701");
  states_ = {{701, true}, {702, false}};
  expect_proved();
  states_[702] = true;
  expect_not("ended transaction 702");
  states_ = {{701, false}, {702, false}};
  expect_not("ended transaction 701");
}

TEST_F(LastRecords, transactions_before_it_are_not_asked) {
  wrote(900, {block(1)});
  ended(701, true);
  says(1, PageWord::kSame, 900);
  expect_proved();
}

// A twin's first record is one of these.
TEST_F(LastRecords, the_start_of_a_server_in_between_proves_nothing) {
  wrote(900, {block(1)});
  records_.push_back({800, {}, 0, {}, false});
  wrote(700, {block(2)});
  says(1, PageWord::kNothing);
  says(2, PageWord::kSame, 700);
  expect_not("no page tells");
}

TEST_F(LastRecords, nothing_is_proved_by_nothing) {
  expect_not("no page last");
  wrote(900, {block(1)});
  expect_not("no page last");
}

TEST_F(LastRecords, so_many_blocks_are_asked_and_no_more) {
  for (std::uint32_t number = 0; number < 1000; ++number) wrote(9000 - number, {block(number)});
  expect_not("too many blocks");
  EXPECT_EQ(asked_.size(), 128u);
  says(127, PageWord::kSame, 9000 - 127);
  expect_proved();
  EXPECT_EQ(asked_.size(), 128u);
}

}  // namespace
}  // namespace standby_clone
