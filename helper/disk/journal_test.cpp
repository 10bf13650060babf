// journal_test.cpp: the journal comes back as it was; nothing else is taken for one.
#include "helper/disk/journal.h"

#include <gtest/gtest.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

TEST(Journal, comes_back_as_it_was) {
  Journal journal;
  journal.is_committed = true;
  journal.directories = {{"/data", false},
                         {"/tbs with \"quotes\" and \\ and\nnewline", true},
                         {"/t\xC3\xBC" "bs", false}};
  Journal again = Journal::from_text(journal.to_text(), "/data/journal");
  EXPECT_TRUE(again.is_committed);
  ASSERT_EQ(again.directories.size(), 3u);
  for (std::size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(again.directories[index].path, journal.directories[index].path);
    EXPECT_EQ(again.directories[index].existed, journal.directories[index].existed);
  }
  EXPECT_FALSE(Journal::from_text(Journal{false, {{"/a", true}}}.to_text(), "").is_committed);
}

TEST(Journal, keeps_a_path_that_is_no_utf_8) {
  Journal journal{false, {{"/data", false}, {"/tbs\xFF\xFE/\xC3", true}}};
  Journal again = Journal::from_text(journal.to_text(), "/data/journal");
  ASSERT_EQ(again.directories.size(), 2u);
  EXPECT_EQ(again.directories[1].path, journal.directories[1].path);
}

const std::string kGood =
    R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "/data", "existed": true}]})";

TEST(Journal, is_taken_from_any_layout_of_the_same_json) {
  EXPECT_EQ(Journal::from_text(kGood, "").directories.at(0).path, "/data");
}

TEST(Journal, cut_short_anywhere_is_refused) {
  for (std::size_t size = 0; size < kGood.size(); ++size)
    EXPECT_THROW(Journal::from_text(kGood.substr(0, size), ""), Failure) << size;
  EXPECT_THROW(Journal::from_text(kGood + "x", ""), Failure);
}

class HostileJournal : public testing::TestWithParam<const char*> {};

TEST_P(HostileJournal, is_refused_by_name) {
  try {
    Journal::from_text(GetParam(), "/data/journal");
    FAIL() << "was taken";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kTargetRefused);
    EXPECT_NE(failure.message.find("/data/journal"), std::string::npos) << failure.message;
    EXPECT_FALSE(failure.hint.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Texts, HostileJournal,
    testing::Values(
        "", "null", "[]", "1", "\"pg_standby_clone\"", "{}", "not json", "\xFF\xFE",
        R"({"pg_standby_clone": 1})",
        R"({"pg_standby_clone": 2, "committed": false, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": "1", "committed": false, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": [1], "committed": false, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": null, "committed": false, "directories": [{"path": "/a", "existed": true}]})",
        R"({"committed": false, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": 1, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": 0, "directories": [{"path": "/a", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": []})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": {}})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": "/a"})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": ["/a"]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "/a"}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": 1, "existed": true}]})",
        "{\"pg_standby_clone\": 1, \"committed\": false, \"directories\": [{\"path\": "
        "\"/a\xE2\x82\xAC\", \"existed\": true}]}",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "a", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "../a", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "/", "existed": true}]})",
        R"({"pg_standby_clone": 1, "committed": false, "directories": [{"path": "/a", "existed": true}, {"path": "/", "existed": false}]})"));

TEST(Journal, of_a_million_brackets_is_refused) {
  EXPECT_THROW(Journal::from_text(std::string(1000000, '['), ""), Failure);
}

}  // namespace
}  // namespace standby_clone
