// look_test.cpp: each state that a directory can be in, what is said of it, and who may clone into it; and
// that looking changes nothing.
#include "helper/claim/look.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "helper/base/unique_fd.h"
#include "helper/claim/neighbour.h"
#include "helper/claim/processes.h"
#include "helper/disk/journal.h"
#include "helper/disk/scratch_directory.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kStartingUp = 0, kShutDown = 1, kShutDownInRecovery = 2, kInArchiveRecovery = 5,
                        kInProduction = 6;
constexpr Leave kDelta{.to_update = true};

// pg_control of PostgreSQL 15, as far as it is read.
std::string control_file(std::uint64_t system_identifier, std::uint32_t state) {
  std::string bytes(8192, '\0');
  constexpr std::uint32_t kVersion = 1300;
  std::memcpy(&bytes[0], &system_identifier, 8);
  std::memcpy(&bytes[8], &kVersion, 4);
  std::memcpy(&bytes[16], &state, 4);
  std::uint32_t crc = protocol::crc32c(std::as_bytes(std::span(bytes).first(288)));
  std::memcpy(&bytes[288], &crc, 4);
  return bytes;
}

class Directory : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& content = "") {
    fs::create_directories(fs::path(path_ + "/" + name).parent_path());
    put_file(path_ + "/" + name, content);
  }
  void put_cluster(std::uint32_t state = kShutDown) {
    put("PG_VERSION", "15\n");
    put("global/pg_control", control_file(42, state));
  }
  // As a server writes it.
  void put_lock(long pid) {
    put("postmaster.pid", std::to_string(pid) + "\n" + path_ + "\n1700000000\n5432\n/tmp\n*\n 123 4\nready   \n");
  }
  Look look() const { return look_at_directory(path_); }
  std::string state(std::uint64_t identifier = 42) const { return name_of(state_of_directory(path_, identifier)); }
  std::string refused(const Leave& leave = kDelta) const {
    auto failure = refusal(path_, look(), leave);
    if (!failure) return "";
    EXPECT_EQ(failure->kind, Kind::kTargetRefused);
    EXPECT_FALSE(failure->hint.empty());
    return failure->message + " " + failure->hint;
  }
  bool is_refused_for(const std::string& why, const Leave& leave = kDelta) const {
    return refused(leave).find(why) != std::string::npos;
  }

  ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "d";
};

TEST_F(Directory, in_every_state) {
  EXPECT_EQ(look().holds, Holds::kNothing);
  EXPECT_EQ(state(), "empty");
  fs::create_directory(path_);
  EXPECT_EQ(look().holds, Holds::kEmpty);
  EXPECT_EQ(state(), "empty");
  EXPECT_EQ(refused({}), "");
  put("something");
  EXPECT_EQ(look().holds, Holds::kOther);
  EXPECT_EQ(state(), "not empty");
  EXPECT_TRUE(is_refused_for("not empty"));
  put_cluster();
  EXPECT_EQ(look().holds, Holds::kCluster);
  EXPECT_EQ(state(), "stopped primary");
  EXPECT_EQ(state(41), "foreign");
  EXPECT_EQ(state(0), "stopped primary");
  EXPECT_TRUE(is_refused_for("--delta makes it current", {}));
  EXPECT_EQ(refused(), "");
  put("standby.signal");
  EXPECT_EQ(state(), "stopped standby");
  Neighbour server(path_);
  put_lock(server.pid());
  EXPECT_EQ(state(), "running standby");
  fs::remove(path_ + "/standby.signal");
  EXPECT_EQ(state(), "running primary");
}

TEST_F(Directory, with_a_journal) {
  put(kJournalName);
  put("PG_VERSION", "15\n");
  EXPECT_EQ(look().holds, Holds::kUnfinishedClone);
  EXPECT_EQ(state(), "unfinished clone");
  EXPECT_EQ(refused({}), "");
  put_cluster();
  JournalRecords records;
  records.directory({path_, Origin::kFound, ""});
  std::string magic = "pg_standby_clone journal 1\n";
  put(kJournalName, magic + records.bytes());
  EXPECT_EQ(look().holds, Holds::kCluster) << "nothing was changed yet";
  EXPECT_EQ(state(), "stopped primary");
  records.committing();
  put(kJournalName, magic + records.bytes());
  EXPECT_EQ(look().holds, Holds::kCompleteClone);
  EXPECT_EQ(refused({}), "");
}

TEST_F(Directory, that_is_a_mount_point_gets_a_hint) {
  put("lost+found/file");
  EXPECT_TRUE(look().is_mount_point);
  EXPECT_TRUE(is_refused_for("a directory below it"));
  put("PG_VERSION");
  EXPECT_FALSE(look().is_mount_point);
}

TEST_F(Directory, that_is_a_file_or_holds_half_a_control_file_is_no_cluster) {
  put("PG_VERSION", "15\n");
  EXPECT_TRUE(is_refused_for("nothing says of which cluster"));
  put("global/pg_control", "short");
  EXPECT_EQ(state(), "not empty");
  EXPECT_TRUE(is_refused_for("damaged"));
  fs::remove_all(path_);
  put_file(path_, "x");
  EXPECT_EQ(state(), "not empty");
  EXPECT_TRUE(is_refused_for("is not a directory"));
}

TEST_F(Directory, that_cannot_be_read_says_so) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  fs::create_directory(path_);
  fs::permissions(path_, fs::perms::none);
  EXPECT_EQ(state(), "unreadable");
  fs::permissions(path_, fs::perms::owner_all);
}

TEST_F(Directory, of_another_user_is_refused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make one";
  put_cluster();
  ASSERT_EQ(chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_TRUE(is_refused_for("belongs to another operating system user"));
}

TEST_F(Directory, with_the_first_traces_of_a_dead_clone_is_empty) {
  put("postmaster.pid", lock_file_of_clone(dead_process(), path_, 1));
  put(std::string(kJournalName) + ".new");
  EXPECT_EQ(look().holds, Holds::kEmpty);
  EXPECT_EQ(refused({}), "");
}

// --- who works in it ---

TEST_F(Directory, of_a_clone_at_work) {
  put("postmaster.pid", lock_file_of_clone(4711, path_, 1));
  put(kJournalName);
  EXPECT_EQ(look().occupant, Occupant::kNobody);
  UniqueFd held(open((path_ + "/postmaster.pid").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(look().occupant, Occupant::kClone);
  EXPECT_EQ(look().pid, 4711);
  EXPECT_TRUE(is_refused_for("another clone is at work"));
}

TEST_F(Directory, of_a_running_server_may_be_taken_by_who_may_stop_it) {
  put_cluster(kInProduction);
  Neighbour server(path_);
  put_lock(server.pid());
  EXPECT_EQ(look().occupant, Occupant::kServer);
  EXPECT_TRUE(is_refused_for("a PostgreSQL server runs"));
  EXPECT_TRUE(is_refused_for("a PostgreSQL server runs", {.to_update = true, .to_assume_stopped = true}));
  EXPECT_TRUE(is_refused_for("a PostgreSQL server runs", {.to_stop_server = true}));
  EXPECT_EQ(refused({.to_update = true, .to_stop_server = true}), "");
  EXPECT_EQ(running_server(path_)->pid, server.pid());
  EXPECT_EQ(running_server(path_)->status, "ready");
}

TEST_F(Directory, of_a_server_in_single_user_mode) {
  put_cluster(kInProduction);
  Neighbour server(path_);
  put_lock(-server.pid());
  EXPECT_EQ(look().occupant, Occupant::kSingleUser);
  EXPECT_TRUE(is_refused_for("single-user", {.to_update = true, .to_stop_server = true}));
  EXPECT_FALSE(running_server(path_));
}

TEST_F(Directory, of_a_server_that_died_is_a_stopped_one) {
  put_cluster(kShutDownInRecovery);
  put("standby.signal");
  put_lock(dead_process());
  EXPECT_EQ(look().occupant, Occupant::kNobody);
  EXPECT_EQ(state(), "stopped standby");
  EXPECT_EQ(refused(), "");
  Neighbour zombie(path_);
  put_lock(zombie.pid());
  zombie.become_zombie();
  EXPECT_EQ(look().occupant, Occupant::kNobody) << "nobody has waited for it";
}

// After a reboot, or in a container, the number of a server that died is another's.
TEST_F(Directory, whose_lock_file_names_somebody_else_is_not_taken_for_running) {
  put_cluster();
  for (long stranger : {static_cast<long>(getpid()), static_cast<long>(getppid())}) {
    put_lock(stranger);
    EXPECT_EQ(look().occupant, Occupant::kNobody) << stranger;
    EXPECT_FALSE(running_server(path_));
  }
  if (geteuid() != 0) {
    put_lock(1);  // root's
    EXPECT_EQ(look().occupant, Occupant::kNobody);
  }
  Neighbour stranger(scratch_.path());
  put_lock(stranger.pid());
  EXPECT_EQ(look().occupant,
            why_not_all_is_seen(path_).empty() ? Occupant::kNobody : Occupant::kLockOwner);
  EXPECT_FALSE(running_server(path_)) << "nobody may signal it";
}

// A server's segment: whoever is attached may write what it has in there.
class Segment {
  struct Header {
    std::int32_t magic, creator;
    std::uint64_t size, free;
    std::uint64_t control;
    void* index;
    dev_t device;
    ino_t inode;
  };

 public:
  explicit Segment(const std::string& directory, std::int32_t magic = 679834894)
      : id_(shmget(IPC_PRIVATE, sizeof(Header), IPC_CREAT | 0600)) {
    if (id_ < 0) throw std::runtime_error("shmget failed");
    struct stat status;
    stat(directory.c_str(), &status);
    Header header{magic, 1, sizeof(Header), 64, 0, nullptr, status.st_dev, status.st_ino};
    void* address = shmat(id_, nullptr, 0);
    std::memcpy(address, &header, sizeof(header));
    shmdt(address);
  }
  ~Segment() { shmctl(id_, IPC_RMID, nullptr); }
  int id() const { return id_; }

 private:
  int id_;
};

TEST_F(Directory, in_whose_shared_memory_somebody_is_left_is_refused_whatever_else_it_says) {
  put_cluster(kShutDown);
  put_lock(dead_process());
  Segment segment(path_);
  EXPECT_EQ(look().occupant, Occupant::kNobody) << "nobody is attached";
  Neighbour orphan(path_, [&] { shmat(segment.id(), nullptr, 0); });
  Look seen = look();
  EXPECT_EQ(seen.occupant, Occupant::kOrphans);
  EXPECT_EQ(seen.pid, orphan.pid());
  EXPECT_TRUE(is_refused_for("processes of a PostgreSQL server still use"));
  EXPECT_NE(refused({.to_update = true, .to_stop_server = true, .to_assume_stopped = true}), "");
  fs::remove(path_ + "/postmaster.pid");
  EXPECT_EQ(look().occupant, Occupant::kOrphans) << "found by the directory alone";
  orphan.end();
  EXPECT_EQ(look().occupant, Occupant::kNobody);
}

TEST_F(Directory, does_not_care_about_other_segments) {
  put_cluster(kShutDown);
  Segment others(scratch_.path()), foreign(path_, 1);
  Neighbour somebody("/", [&] {
    shmat(others.id(), nullptr, 0);
    shmat(foreign.id(), nullptr, 0);
  });
  EXPECT_EQ(look().occupant, Occupant::kNobody);
}

// --- is it known to be down? ---

TEST_F(Directory, that_was_not_shut_down_is_known_to_be_down_only_if_nobody_works_in_it) {
  if (!why_not_all_is_seen(scratch_.path()).empty()) GTEST_SKIP() << why_not_all_is_seen(scratch_.path());
  for (std::uint32_t state : {kStartingUp, kInArchiveRecovery, kInProduction}) {
    put_cluster(state);
    EXPECT_EQ(refused(), "") << state;
    Neighbour somebody(path_);
    EXPECT_TRUE(is_refused_for("works in that directory")) << state;
    EXPECT_TRUE(is_refused_for("--assume-stopped")) << state;
    EXPECT_EQ(refused({.to_update = true, .to_assume_stopped = true}), "") << state;
    EXPECT_TRUE(is_refused_for("is not empty", {.to_assume_stopped = true})) << state;
  }
  put_cluster(kShutDown);
  Neighbour somebody(path_);
  EXPECT_EQ(refused(), "") << "pg_control says so";
}

TEST_F(Directory, on_a_file_system_of_other_hosts_is_not_known_to_be_down) {
  EXPECT_NE(why_not_all_is_seen("/proc"), "");
  EXPECT_NE(why_not_all_is_seen("/sys"), "");
  put_cluster(kInProduction);
  Look seen = look();
  seen.why_not_known_down = "its file system may be one that other hosts use as well";
  auto failure = refusal(path_, seen, kDelta);
  ASSERT_TRUE(failure);
  EXPECT_NE(failure->message.find("\"in production\""), std::string::npos) << failure->message;
  EXPECT_NE(failure->hint.find("on any host"), std::string::npos) << failure->hint;
}

TEST_F(Directory, is_not_changed_by_looking) {
  put_cluster(kInProduction);
  put("postmaster.pid", lock_file_of_clone(4711, path_, 1));
  auto before = fs::last_write_time(path_);
  UniqueFd directory(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(directory.get(), LOCK_EX | LOCK_NB), 0);
  look();
  EXPECT_TRUE(fs::exists(path_ + "/postmaster.pid"));
  EXPECT_EQ(fs::last_write_time(path_), before);
}

}  // namespace
}  // namespace standby_clone
