// preflight_test.cpp: what a list of findings adds up to, and how it is shown.
#include <gtest/gtest.h>

#include "helper/disk/scratch_directory.h"
#include "helper/disk/directory.h"
#include "helper/preflight/directory.h"
#include "helper/preflight/findings.h"
#include "helper/preflight/host.h"
#include "helper/preflight/report.h"

namespace standby_clone {
namespace {

TEST(Findings, NothingWrong) {
  Findings findings;
  findings.ok("one", "fine");
  EXPECT_EQ(findings.verdict(), Verdict::kOk);
  EXPECT_EQ(findings.exit_code(), 0);
  EXPECT_NO_THROW(findings.stop_on_error());
}

TEST(Findings, WarningsDoNotStop) {
  Findings findings;
  findings.warn("one", "hm", "Look.");
  EXPECT_EQ(findings.verdict(), Verdict::kWarning);
  EXPECT_EQ(findings.exit_code(), 0);
  EXPECT_NO_THROW(findings.stop_on_error());
}

TEST(Findings, FirstErrorDecidesAndTheOthersAreCounted) {
  Findings findings;
  findings.warn("one", "hm");
  findings.fail("two", Kind::kTargetRefused, "not empty", "Empty it.");
  findings.fail("three", Kind::kDisk, "full");
  EXPECT_EQ(findings.verdict(), Verdict::kError);
  EXPECT_EQ(findings.exit_code(), exit_code(Kind::kTargetRefused));
  try {
    findings.stop_on_error();
    FAIL() << "it went on";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kTargetRefused);
    EXPECT_EQ(failure.message, "not empty");
    EXPECT_EQ(failure.hint, "Empty it.\nThere is 1 more: see pg_standby_clone check.");
  }
}

TEST(Table, HasARowForEachAndHintsBelow) {
  Findings findings;
  findings.ok("short", "fine", "Not shown.");
  findings.warn("longer_name", "one two three four five six seven eight", "Do this:\n  copy me as I am, however long this line is");
  EXPECT_EQ(table_of(findings, 42, false),
            "check        status   detail\n"
            "short        ok       fine\n"
            "longer_name  warning  one two three four\n"
            "                      five six seven eight\n"
            "                      -> Do this:\n"
            "                        copy me as I am, however long this line is\n"
            "a clone can be made: 1 warning\n");
}

TEST(Table, IsPaintedWhenAskedFor) {
  Findings findings;
  findings.fail("one", Kind::kDisk, "full");
  std::string table = table_of(findings, 80, true);
  EXPECT_NE(table.find("\033[01;31merror  \033[0m"), std::string::npos) << table;
  EXPECT_NE(table.find("a clone would fail: 1 error, 0 warnings"), std::string::npos) << table;
}

TEST(Places, RoomIsThatOfTheNearestOneThere) {
  ScratchDirectory scratch;
  EXPECT_EQ(nearest_existing(scratch.path() + "/a/b/c"), scratch.path());
  EXPECT_EQ(room_at(scratch.path() + "/a/b/c").device, room_at(scratch.path()).device);
  EXPECT_GT(room_at(scratch.path() + "/a").available, 0u);
}

// --- space, with a donor made up ---

Options options_for(const std::string& directory) {
  Options options;
  options.data_directory = directory;
  return options;
}

const Finding* find(const Findings& findings, const std::string& check) {
  for (const auto& finding : findings.all())
    if (finding.check == check) return &finding;
  return nullptr;
}

TEST(Space, AddsUpWhatGoesToOneFileSystem) {
  ScratchDirectory scratch;
  Options options = options_for(scratch.path() + "/d");
  options.tablespace_mapping = {{"/donor/ts", scratch.path() + "/ts"}};
  DonorReport donor;
  std::uint64_t free = room_at(scratch.path()).available;
  donor.data = {"/donor", free / 3 * 2};
  donor.tablespaces = {{"/donor/ts", free / 3 * 2}};
  Findings findings;
  check_space(options, donor, findings);
  const Finding* space = find(findings, "space");
  ASSERT_NE(space, nullptr);
  EXPECT_EQ(space->verdict, Verdict::kError);  // each alone would fit
  EXPECT_EQ(space->kind, Kind::kDisk);
  EXPECT_NE(space->hint.find("--no-check-space"), std::string::npos) << space->hint;
  options.check_space = false;
  Findings overridden;
  check_space(options, donor, overridden);
  EXPECT_EQ(find(overridden, "space")->verdict, Verdict::kWarning);
}

TEST(Space, WalIsAGuessAndWarnsOnly) {
  ScratchDirectory scratch;
  Options options = options_for(scratch.path() + "/d");
  options.max_rate = 1024 * 1024;
  DonorReport donor;
  donor.data = {"/donor", 100 * 1024 * 1024};
  donor.wal_segment_size = 16 * 1024 * 1024;
  donor.wal_rate = room_at(scratch.path()).available;  // the clone takes 100 s
  Findings findings;
  check_space(options, donor, findings);
  ASSERT_NE(find(findings, "space"), nullptr);
  EXPECT_EQ(find(findings, "space")->verdict, Verdict::kWarning);
  donor.wal_rate = 0;
  Findings quiet;
  check_space(options, donor, quiet);
  EXPECT_EQ(find(quiet, "space")->verdict, Verdict::kOk);
}

TEST(Space, AWrongMappingIsAnError) {
  ScratchDirectory scratch;
  Options options = options_for(scratch.path() + "/d");
  options.tablespace_mapping = {{"/wrong", scratch.path() + "/ts"}};
  DonorReport donor;
  donor.tablespaces = {{"/donor/ts", 1}};
  Findings findings;
  check_space(options, donor, findings);
  const Finding* tablespaces = find(findings, "tablespaces");
  ASSERT_NE(tablespaces, nullptr);
  EXPECT_EQ(tablespaces->kind, Kind::kUsage);
  EXPECT_NE(tablespaces->hint.find("/donor/ts"), std::string::npos);
}

}  // namespace
}  // namespace standby_clone
