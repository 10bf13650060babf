// preflight_test.cpp: what a list of findings adds up to, how it is shown, and that a
// look at a directory tells what it holds without changing it.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/base/unique_fd.h"
#include "helper/disk/journal.h"
#include "helper/disk/scratch_directory.h"
#include "helper/preflight/directory.h"
#include "helper/preflight/findings.h"
#include "helper/preflight/host.h"
#include "helper/preflight/report.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

void put(const std::string& path, const std::string& content = "") {
  std::ofstream(path) << content;
}

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

TEST(Directory, TellsWhatItHolds) {
  ScratchDirectory scratch;
  const std::string home = scratch.path() + "/d";
  EXPECT_EQ(look_at_directory(home).holds, Holds::kNothing);
  fs::create_directory(home);
  EXPECT_EQ(look_at_directory(home).holds, Holds::kEmpty);
  fs::create_directory(home + "/lost+found");
  EXPECT_EQ(look_at_directory(home).holds, Holds::kOther);
  EXPECT_TRUE(look_at_directory(home).is_mount_point);
  put(home + "/PG_VERSION", "15\n");
  EXPECT_EQ(look_at_directory(home).holds, Holds::kCluster);
  EXPECT_FALSE(look_at_directory(home).is_mount_point);
  put(home + "/" + kJournalName);
  EXPECT_EQ(look_at_directory(home).holds, Holds::kUnfinishedClone);
  fs::create_directory(home + "/global");
  put(home + "/global/pg_control");
  JournalRecords records;
  records.directory({home, Origin::kFound, ""});
  std::string journal = "pg_standby_clone journal 1\n";
  put(home + "/" + kJournalName, journal + records.bytes());
  EXPECT_EQ(look_at_directory(home).holds, Holds::kCluster) << "nothing was changed yet";
  records.committing();
  put(home + "/" + kJournalName, journal + records.bytes());
  EXPECT_EQ(look_at_directory(home).holds, Holds::kCompleteClone);
  EXPECT_EQ(look_at_directory(home + "/PG_VERSION").holds, Holds::kNotADirectory);
}

TEST(Directory, FirstTracesOfADeadCloneAreNothing) {
  ScratchDirectory scratch;
  put(scratch.path() + "/postmaster.pid", "-1\n");
  put(scratch.path() + "/" + kJournalName + ".new");
  EXPECT_EQ(look_at_directory(scratch.path()).holds, Holds::kEmpty);
}

TEST(Directory, SeesARunningServerAndAWorkingClone) {
  ScratchDirectory scratch;
  const std::string lock = scratch.path() + "/postmaster.pid";
  put(lock, std::to_string(getpid()) + "\n");
  EXPECT_EQ(look_at_directory(scratch.path()).server_pid, getpid());
  put(lock, "-4711\n");
  EXPECT_EQ(look_at_directory(scratch.path()).clone_pid, 0);
  UniqueFd held(open(lock.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(look_at_directory(scratch.path()).clone_pid, 4711);
}

TEST(Directory, ADeadServersLockIsNone) {
  ScratchDirectory scratch;
  pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  put(scratch.path() + "/postmaster.pid", std::to_string(child) + "\n");
  EXPECT_EQ(look_at_directory(scratch.path()).server_pid, 0);
}

TEST(Directory, LookingChangesNothing) {
  ScratchDirectory scratch;
  put(scratch.path() + "/postmaster.pid", "-4711\n");
  auto before = fs::last_write_time(scratch.path());
  look_at_directory(scratch.path());
  EXPECT_TRUE(fs::exists(scratch.path() + "/postmaster.pid"));
  EXPECT_EQ(fs::last_write_time(scratch.path()), before);
}

TEST(Directory, RoomIsThatOfTheNearestOneThere) {
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
