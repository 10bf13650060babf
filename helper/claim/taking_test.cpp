// target_test.cpp: which directories are taken and which refused; and that nothing but
// what was made is ever removed.
#include "helper/claim/claim.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <sys/file.h>
#include <atomic>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/claim/neighbour.h"
#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class TargetDirectory : public testing::Test {
 protected:
  TargetDirectory() {
    fs::create_directory(data_);
    fs::create_directory(neighbour_);
    put_file(neighbour_ + "/precious", "precious");
  }
  ~TargetDirectory() override { EXPECT_EQ(content_of(neighbour_ + "/precious"), "precious"); }

  TargetOptions options() const { return {data_, {}, "", true}; }

  // A process that takes the target and dies in the middle of its work.
  void die_at_work(const TargetOptions& options, const std::function<void(Target&)>& work) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        auto opened = open_target(options);
        Target& target = *opened;
        work(target);
      } catch (...) {
        _exit(1);
      }
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }

  ScratchDirectory scratch_;
  const std::string data_ = scratch_ / "data";
  const std::string neighbour_ = scratch_ / "neighbour";
};

Failure refusal_of(const TargetOptions& options) {
  try {
    open_target(options);
  } catch (const Failure& failure) {
    return failure;
  }
  ADD_FAILURE() << "was taken";
  return Failure(Kind::kInternal, "");
}

std::string journal_of(const std::string& directory) {
  JournalRecords records;
  records.directory({directory, Origin::kEmpty, ""});
  return "pg_standby_clone journal 1\n" + records.bytes();
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST_F(TargetDirectory, that_is_empty_is_taken_and_locked) {
  auto opened = open_target(options());
  Target& target = *opened;
  EXPECT_EQ(target.state(), Target::State::kFresh);
  EXPECT_EQ(names_in(data_), (Names{"pg_standby_clone.journal", "postmaster.pid"}));
  // A server reads the first line: a negative number is no postmaster's.
  EXPECT_EQ(std::strtol(content_of(data_ + "/postmaster.pid").c_str(), nullptr, 10), -getpid());
  Journal journal = Journal::parse(content_of(data_ + "/pg_standby_clone.journal"), "");
  ASSERT_EQ(journal.directories.size(), 1u);
  EXPECT_EQ(journal.directories[0].path, data_);
  EXPECT_EQ(journal.directories[0].origin, Origin::kEmpty);
  EXPECT_FALSE(journal.is_committing);
}

TEST_F(TargetDirectory, that_is_not_there_is_made_and_goes_again) {
  TargetOptions deep{scratch_ / "a/b/data", {}, "", true};
  {
    auto opened = open_target(deep);
    Target& target = *opened;
    EXPECT_EQ(mode_of(deep.data_directory), 0700u);
    target.remove_what_was_made();
  }
  EXPECT_FALSE(fs::exists(deep.data_directory));
}

TEST_F(TargetDirectory, of_a_clone_at_work_is_refused) {
  auto opened = open_target(options());
  Failure failure = refusal_of(options());
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_NE(failure.message.find("another clone is at work"), std::string::npos) << failure.message;
  EXPECT_EQ(names_in(data_), (Names{"pg_standby_clone.journal", "postmaster.pid"}));
}

TEST_F(TargetDirectory, of_somebody_else_is_refused_and_left_alone) {
  put_file(data_ + "/thesis.txt", "years of work");
  Failure failure = refusal_of(options());
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_NE(failure.message.find("not empty"), std::string::npos) << failure.message;
  EXPECT_EQ(names_in(data_), Names{"thesis.txt"});
  EXPECT_EQ(content_of(data_ + "/thesis.txt"), "years of work");
}

TEST_F(TargetDirectory, with_a_hidden_file_only_is_not_empty) {
  put_file(data_ + "/.profile", "");
  EXPECT_EQ(refusal_of(options()).kind, Kind::kTargetRefused);
  EXPECT_EQ(names_in(data_), Names{".profile"});
}

TEST_F(TargetDirectory, that_is_a_mount_point_gets_a_hint) {
  fs::create_directory(data_ + "/lost+found");
  EXPECT_NE(refusal_of(options()).hint.find("mount point"), std::string::npos);
}

TEST_F(TargetDirectory, of_a_running_server_is_refused) {
  put_file(data_ + "/PG_VERSION", "15\n");
  Neighbour server(data_);
  std::string lock = std::to_string(server.pid()) + "\n" + data_ + "\n";
  put_file(data_ + "/postmaster.pid", lock);
  Failure failure = refusal_of(options());
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_NE(failure.message.find("server runs in"), std::string::npos) << failure.message;
  EXPECT_NE(failure.message.find(std::to_string(server.pid())), std::string::npos) << failure.message;
  EXPECT_EQ(content_of(data_ + "/postmaster.pid"), lock);
}

// Its journal would allow to start over; the server in it does not.
TEST_F(TargetDirectory, of_a_running_server_is_refused_even_with_our_journal) {
  put_file(data_ + "/pg_standby_clone.journal", journal_of(data_));
  Neighbour server(data_);
  put_file(data_ + "/postmaster.pid", std::to_string(server.pid()) + "\n");
  put_file(data_ + "/PG_VERSION", "15\n");
  EXPECT_EQ(refusal_of(options()).kind, Kind::kTargetRefused);
  EXPECT_EQ(content_of(data_ + "/PG_VERSION"), "15\n");
}

TEST_F(TargetDirectory, of_a_stopped_or_crashed_server_is_refused_and_left_alone) {
  put_file(data_ + "/PG_VERSION", "15\n");
  std::string lock = std::to_string(dead_process()) + "\n";
  put_file(data_ + "/postmaster.pid", lock);
  Failure failure = refusal_of(options());
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_NE(failure.hint.find("PostgreSQL cluster"), std::string::npos) << failure.hint;
  EXPECT_NE(failure.hint.find("--delta"), std::string::npos) << failure.hint;
  EXPECT_EQ(content_of(data_ + "/postmaster.pid"), lock);
  EXPECT_EQ(content_of(data_ + "/PG_VERSION"), "15\n");
}

TEST_F(TargetDirectory, with_the_first_trace_of_a_dead_clone_is_taken) {
  put_file(data_ + "/postmaster.pid", "-" + std::to_string(dead_process()) + "\n");
  put_file(data_ + "/pg_standby_clone.journal.new", "{");
  auto opened = open_target(options());
  EXPECT_EQ(names_in(data_), (Names{"pg_standby_clone.journal", "postmaster.pid"}));
}

TEST_F(TargetDirectory, that_is_a_file_is_refused) {
  put_file(scratch_ / "file", "x");
  EXPECT_EQ(refusal_of({scratch_ / "file", {}, "", true}).kind, Kind::kTargetRefused);
  EXPECT_EQ(content_of(scratch_ / "file"), "x");
}

TEST_F(TargetDirectory, with_a_hostile_journal_is_refused_and_left_alone) {
  put_file(data_ + "/pg_standby_clone.journal", journal_of("/"));
  put_file(data_ + "/file", "x");
  EXPECT_EQ(refusal_of(options()).kind, Kind::kTargetRefused);
  EXPECT_EQ(names_in(data_), (Names{"file", "pg_standby_clone.journal"}));
}

TEST_F(TargetDirectory, is_given_back_as_it_was) {
  TargetOptions mine = options();
  mine.tablespace_mapping = {{"/donor/old", scratch_ / "old"}, {"/donor/new", scratch_ / "new"}};
  mine.wal_directory = scratch_ / "wal";
  fs::create_directory(scratch_ / "old");
  {
    auto opened = open_target(mine);
    Target& target = *opened;
    target.make_directory("pg_wal");
    target.make_directory("pg_tblspc");
    target.make_tablespace("pg_tblspc/1", "/donor/old");
    target.make_tablespace("pg_tblspc/2", "/donor/new");
    target.make_directory("pg_tblspc/2/PG_15");
    target.write_file("pg_tblspc/1/file", "1");
    target.write_file("pg_tblspc/2/PG_15/file", "2");
    target.write_file("pg_wal/000000010000000000000001", "wal");
    EXPECT_EQ(content_of(scratch_ / "new/PG_15/file"), "2");
    EXPECT_EQ(names_in(scratch_ / "wal"), Names{"000000010000000000000001"});
    // Content goes, what links lead to does not.
    fs::create_symlink(neighbour_, data_ + "/link");
    fs::create_symlink(neighbour_, scratch_ / "new/link");
    target.remove_what_was_made();
  }
  EXPECT_EQ(names_in(scratch_.path()), (Names{"data", "neighbour", "old"}));
  EXPECT_TRUE(fs::is_empty(data_));
  EXPECT_TRUE(fs::is_empty(scratch_ / "old"));
}

TEST_F(TargetDirectory, is_given_back_when_a_second_directory_is_refused) {
  put_file(neighbour_ + "/file", "x");
  for (const std::string& wal : {neighbour_, data_ + "/pg_wal_elsewhere", data_}) {
    TargetOptions mine = options();
    mine.wal_directory = wal;
    EXPECT_EQ(refusal_of(mine).kind, Kind::kTargetRefused) << wal;
    EXPECT_TRUE(fs::is_empty(data_)) << wal;
  }
  EXPECT_EQ(names_in(neighbour_), (Names{"file", "precious"}));
  EXPECT_EQ(refusal_of({scratch_ / "made", {}, neighbour_, true}).kind, Kind::kTargetRefused);
  EXPECT_FALSE(fs::exists(scratch_ / "made"));
}

TEST_F(TargetDirectory, takes_each_tablespace_for_itself_only) {
  TargetOptions mine = options();
  mine.tablespace_mapping = {{"/donor/a", scratch_ / "a"},
                             {"/donor/b", scratch_ / "a"},
                             {"/donor/c", data_ + "/inside"},
                             {"/donor/d", neighbour_},
                             {"/donor/e", data_}};
  auto opened = open_target(mine);
  Target& target = *opened;
  target.make_directory("pg_tblspc");
  target.make_tablespace("pg_tblspc/1", "/donor/a");
  for (const char* donor : {"/donor/b", "/donor/c", "/donor/d", "/donor/e"}) {
    try {
      target.make_tablespace("pg_tblspc/2", donor);
      ADD_FAILURE() << donor;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, Kind::kTargetRefused) << donor;
    }
  }
  EXPECT_EQ(fs::read_symlink(data_ + "/pg_tblspc/1"), scratch_ / "a");
  EXPECT_EQ(names_in(data_ + "/pg_tblspc"), Names{"1"});
  target.remove_what_was_made();
  EXPECT_FALSE(fs::exists(scratch_ / "a"));
}

TEST_F(TargetDirectory, knows_only_tablespaces_the_donor_has) {
  TargetOptions mine = options();
  mine.tablespace_mapping = {{"/donor/a", scratch_ / "a"}};
  auto opened = open_target(mine);
  Target& target = *opened;
  target.check_mapping({"/donor/a", "/donor/b"});
  EXPECT_EQ(target.place_of("pg_tblspc/1", "/donor/a"), scratch_ / "a");
  EXPECT_EQ(target.place_of("pg_tblspc/2", "/donor/b"), "/donor/b");
  try {
    target.check_mapping({"/donor/b"});
    ADD_FAILURE();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kUsage);
    EXPECT_NE(failure.hint.find("/donor/b"), std::string::npos) << failure.hint;
  }
}

TEST_F(TargetDirectory, of_a_clone_that_was_killed_is_gone_on_with) {
  TargetOptions mine = options();
  mine.tablespace_mapping = {{"/donor", scratch_ / "tbs"}};
  SessionRecord session;
  session.id = 17;
  die_at_work(mine, [&](Target& target) {
    target.begin_session(session);
    target.make_directory("base");
    target.make_directory("pg_tblspc");
    target.make_tablespace("pg_tblspc/1", "/donor");
    target.write_file("pg_tblspc/1/file", "x");
    target.create_file("base/1", 100)->write(0, std::as_bytes(std::span("abc", 3)));
    JournalRecords records;
    records.file(1, "base/1");
    records.chunks(1, {{0, 3, 99}});
    target.append_to_journal(records);
  });
  fs::create_symlink(neighbour_ + "/precious", data_ + "/base/link");
  auto opened = open_target(options());
  Target& target = *opened;
  EXPECT_EQ(target.state(), Target::State::kResumed);
  EXPECT_EQ(target.session(), session);
  EXPECT_EQ(target.go_on_in_session().find("base/1")->chunks.at(0).crc, 99u);
  EXPECT_EQ(content_of(data_ + "/base/1"), "abc");
  // All of the layout may be said again, also without what shaped it.
  target.make_directory("base");
  target.make_directory("pg_tblspc");
  EXPECT_EQ(target.place_of("pg_tblspc/1", "/donor"), scratch_ / "tbs");
  target.make_tablespace("pg_tblspc/1", "/donor");
  EXPECT_EQ(content_of(scratch_ / "tbs/file"), "x");
  // A file that is there is kept, a link to another's is not.
  EXPECT_FALSE(target.create_file("base/1", 100)->is_new());
  EXPECT_TRUE(target.create_file("base/link", 100)->is_new());
  EXPECT_FALSE(target.open_local("base/gone"));
  EXPECT_EQ(target.open_local("base/1")->size(), 3u);
}

// A file with two names is another's too: cp -l, or a snapshot made of links.
TEST_F(TargetDirectory, never_writes_to_a_file_that_has_a_second_name) {
  die_at_work(options(), [](Target& target) { target.make_directory("base"); });
  fs::create_hard_link(neighbour_ + "/precious", data_ + "/base/1");
  fs::create_symlink(neighbour_, data_ + "/base/directory");
  auto opened = open_target(options());
  Target& target = *opened;
  EXPECT_FALSE(target.open_local("base/1"));
  auto file = target.create_file("base/1", 10);
  EXPECT_TRUE(file->is_new());
  file->write(0, std::as_bytes(std::span("mine", 4)));
  EXPECT_EQ(content_of(data_ + "/base/1"), "mine");
  target.make_directory("base/directory");
  target.write_file("base/directory/precious", "mine");
}

// What the journal names belongs to the directory it was written in.
TEST_F(TargetDirectory, that_is_a_copy_of_an_unfinished_clone_is_refused) {
  TargetOptions mine = options();
  mine.tablespace_mapping = {{"/donor", scratch_ / "tbs"}};
  die_at_work(mine, [](Target& target) {
    target.make_directory("pg_tblspc");
    target.make_tablespace("pg_tblspc/1", "/donor");
    target.write_file("pg_tblspc/1/file", "x");
  });
  fs::copy(data_, scratch_ / "copy", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  EXPECT_EQ(refusal_of({scratch_ / "copy", {}, "", true}).kind, Kind::kTargetRefused);
  EXPECT_EQ(content_of(scratch_ / "tbs/file"), "x");
  // By another name it is still the same directory.
  fs::create_symlink(data_, scratch_ / "link");
  auto opened = open_target({scratch_ / "link", {}, "", true});
  Target& target = *opened;
  EXPECT_EQ(target.state(), Target::State::kResumed);
}

TEST_F(TargetDirectory, of_a_clone_that_was_killed_after_pg_control_is_complete) {
  die_at_work(options(), [](Target& target) {
    target.make_directory("global");
    target.write_file("PG_VERSION", "15\n");
    target.begin_commit();
    target.write_file("global/pg_control", "control");
  });
  auto opened = open_target(options());
  Target& target = *opened;
  EXPECT_TRUE(target.was_complete());
  EXPECT_EQ(names_in(data_), (Names{"PG_VERSION", "global"}));
  EXPECT_EQ(content_of(data_ + "/global/pg_control"), "control");
}

TEST_F(TargetDirectory, of_a_clone_that_was_killed_before_pg_control_is_not) {
  die_at_work(options(), [](Target& target) {
    target.make_directory("global");
    target.begin_commit();
  });
  EXPECT_EQ(open_target(options())->state(), Target::State::kResumed);
}

// Our journal and a pg_control that we did not put there: whose is it?
TEST_F(TargetDirectory, with_our_journal_and_a_pg_control_of_others_is_refused) {
  die_at_work(options(), [](Target& target) {
    target.make_directory("global");
    target.write_file("global/pg_control", "control");
  });
  EXPECT_EQ(refusal_of(options()).kind, Kind::kTargetRefused);
  EXPECT_EQ(content_of(data_ + "/global/pg_control"), "control");
}

TEST_F(TargetDirectory, that_is_committed_is_a_foreign_one_from_then_on) {
  {
    auto opened = open_target(options());
    Target& target = *opened;
    target.make_directory("global");
    target.write_file("global/pg_control", "control");
    target.write_file("PG_VERSION", "15\n");
    target.begin_commit();
    target.commit();
  }
  EXPECT_EQ(names_in(data_), (Names{"PG_VERSION", "global"}));
  EXPECT_EQ(refusal_of(options()).kind, Kind::kTargetRefused);
  EXPECT_EQ(content_of(data_ + "/global/pg_control"), "control");
}

// The lock goes with the process, the journal stays: the next run finds its way.
TEST_F(TargetDirectory, left_in_the_middle_keeps_its_journal) {
  open_target(options());
  EXPECT_EQ(names_in(data_), Names{"pg_standby_clone.journal"});
  EXPECT_EQ(open_target(options())->state(), Target::State::kResumed);
}

TEST_F(TargetDirectory, has_the_modes_of_the_donor) {
  TargetOptions mine = options();
  mine.wal_directory = scratch_ / "wal";
  mode_t before = umask(077);
  {
    auto opened = open_target(mine);
    Target& target = *opened;
    EXPECT_EQ(target.file_mode(), 0600u);
    EXPECT_EQ(mode_of(scratch_ / "wal"), 0700u);
    target.set_directory_mode(0750);
    target.make_directory("base");
    target.write_file("file", "x");
    EXPECT_EQ(target.file_mode(), 0640u);
    for (const char* directory : {"data", "wal", "data/base"})
      EXPECT_EQ(mode_of(scratch_ / directory), 0750u) << directory;
    EXPECT_EQ(mode_of(data_ + "/file"), 0640u);
    // A donor does not get more out of us than a server would accept.
    target.set_directory_mode(0777);
    EXPECT_EQ(mode_of(data_), 0700u);
  }
  umask(before);
}

TEST_F(TargetDirectory, replaces_a_small_file_as_a_whole) {
  auto opened = open_target(options());
  Target& target = *opened;
  target.write_file("file", "a long first version");
  target.write_file("file", "short");
  EXPECT_EQ(target.read_file("file"), "short");
  target.write_file("file", "");
  EXPECT_EQ(target.read_file("file"), "");
  EXPECT_FALSE(fs::exists(data_ + "/file.new"));
  target.remove_file("file");
  target.remove_file("file");
  EXPECT_THROW(target.read_file("file"), Failure);
}

TEST_F(TargetDirectory, can_be_synced_in_whole_and_in_part) {
  auto opened = open_target(options());
  Target& target = *opened;
  target.make_directory("base");
  target.write_file("base/file", "x");
  target.sync_file("base/file");
  target.sync_directory("base");
  target.sync_directory("");
  target.sync_all();
  EXPECT_THROW(target.sync_file("base/missing"), Failure);
  // A link could lead to another file system.
  fs::create_symlink(neighbour_ + "/precious", data_ + "/link");
  EXPECT_THROW(target.sync_file("link"), Failure);
}

TEST_F(TargetDirectory, without_rights_says_for_whom) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::permissions(data_, fs::perms::owner_read | fs::perms::owner_exec);
  Failure failure = refusal_of(options());
  fs::permissions(data_, fs::perms::owner_all);
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_NE(failure.hint.find("writable"), std::string::npos) << failure.hint;
}

// --- two at a time ---

// Two processes that begin together, again and again, while a third one looks: one of them has it.
TEST_F(TargetDirectory, is_taken_by_one_of_two_and_never_lost_to_who_only_looks) {
  constexpr int kRounds = 1000;
  struct Meeting {
    std::atomic<int> arrived{0}, taken{0}, refused{0}, left{0};
    std::atomic<bool> is_over{false};
  };
  auto* meeting = new (mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Meeting;
  auto wait_for = [](const std::atomic<int>& count, int goal) {
    while (count < goal) sched_yield();
  };
  auto take = [&] {
    for (int round = 1; round <= kRounds; ++round) {
      ++meeting->arrived;
      wait_for(meeting->arrived, 2 * round);
      std::unique_ptr<Target> target;
      try {
        target = open_target({data_, {}, "", false});
        ++meeting->taken;
      } catch (const Failure& failure) {
        if (failure.kind != Kind::kTargetRefused) _exit(1);
        ++meeting->refused;
      }
      // Who has it keeps it until the other one has been refused.
      wait_for(meeting->refused, round);
      target.reset();
      ++meeting->left;
      wait_for(meeting->left, 2 * round);
    }
    _exit(0);
  };
  auto look = [&] {
    while (!meeting->is_over) look_at_directory(data_);
    _exit(0);
  };
  std::vector<pid_t> takers, all;
  for (const std::function<void()>& part : {std::function<void()>(take), {take}, {look}}) {
    pid_t child = fork();
    if (child == 0) {
      try {
        part();
      } catch (const Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
      }
      _exit(1);
    }
    all.push_back(child);
  }
  int status = 0;
  for (pid_t taker : {all[0], all[1]}) {
    ASSERT_EQ(waitpid(taker, &status, 0), taker);
    EXPECT_EQ(status, 0);
  }
  meeting->is_over = true;
  ASSERT_EQ(waitpid(all[2], &status, 0), all[2]);
  EXPECT_EQ(status, 0) << "who looked";
  EXPECT_EQ(meeting->taken, kRounds);
  EXPECT_EQ(meeting->refused, kRounds);
  munmap(meeting, sizeof(Meeting));
}

}  // namespace
}  // namespace standby_clone
