// tree_test.cpp: nothing below a taken directory leads out of it; what a disk cannot do is lived with.
#include "helper/disk/tree.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <map>

#include "helper/base/failure.h"
#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// A disk whose syncs fail as they are told, and which counts them.
class SyncsFail : public Disk {
 public:
  int directory_error = 0, file_error = 0, file_system_error = 0;
  int syncs = 0;

  int sync(int file) override {
    struct stat status {};
    fstat(file, &status);
    ++syncs;
    return result(S_ISDIR(status.st_mode) ? directory_error : file_error);
  }
  int sync_file_system(int) override { return result(file_system_error); }

 private:
  static int result(int error) {
    if (error != 0) errno = error;
    return error == 0 ? 0 : -1;
  }
};

class TreeOfDirectories : public testing::Test {
 protected:
  TreeOfDirectories() {
    for (const char* name : {"data/base/5", "data/pg_tblspc", "tbs", "neighbour"})
      fs::create_directories(scratch_ / name);
    put_file(scratch_ / "neighbour/precious", "precious");
    tree_.add_root("", scratch_ / "data");
  }
  ~TreeOfDirectories() override {
    EXPECT_EQ(names_in(scratch_ / "neighbour"), Names{"precious"});
    EXPECT_EQ(content_of(scratch_ / "neighbour/precious"), "precious");
  }

  ScratchDirectory scratch_;
  SyncsFail disk_;
  Tree tree_{disk_, true};
};

TEST_F(TreeOfDirectories, is_never_left_through_a_link) {
  fs::create_directory_symlink(scratch_ / "neighbour", scratch_ / "data/out");
  fs::create_directory_symlink("../neighbour", scratch_ / "data/base/out");
  fs::create_directory_symlink("5", scratch_ / "data/base/inside");
  fs::create_symlink(scratch_ / "neighbour/precious", scratch_ / "data/file");
  fs::create_symlink(scratch_ / "neighbour/fresh", scratch_ / "data/dangling");
  auto refused = [](auto&& act) { EXPECT_THROW(act(), Failure); };
  for (const char* way : {"out", "base/out", "base/inside", "pg_tblspc/../../neighbour"}) {
    std::string there = std::string(way) + "/precious";
    EXPECT_FALSE(tree_.open(there, O_RDONLY)) << way;
    EXPECT_FALSE(tree_.open(std::string(way) + "/fresh", O_WRONLY | O_CREAT, 0600)) << way;
    refused([&] { tree_.read_file(there); });
    refused([&] { tree_.write_file(there, "x", 0600); });
    refused([&] { tree_.remove_file(there); });
    refused([&] { tree_.remove(there); });
    refused([&] { tree_.remove_content(way); });
    refused([&] { tree_.entries(way); });
    refused([&] { tree_.rename(there, "stolen"); });
    refused([&] { tree_.make_directory(there, 0700); });
    refused([&] { tree_.make_link(there, "/"); });
    refused([&] { tree_.sync_directory(way); });
  }
  EXPECT_FALSE(tree_.status("out/precious"));
  EXPECT_FALSE(tree_.open("file", O_WRONLY));
  EXPECT_FALSE(tree_.open("dangling", O_WRONLY | O_CREAT, 0600));
  refused([&] { tree_.set_mode("file", 0777); });
  tree_.write_file("file", "mine", 0600);  // the name changes hands
  EXPECT_EQ(content_of(scratch_ / "data/file"), "mine");
}

TEST_F(TreeOfDirectories, is_opened_name_by_name_where_the_kernel_is_old) {
  fs::create_directory_symlink(scratch_ / "neighbour", scratch_ / "data/base/out");
  fs::create_symlink(scratch_ / "neighbour/precious", scratch_ / "data/base/file");
  put_file(scratch_ / "data/base/5/1", "one");
  UniqueFd root = tree_.open("", O_RDONLY | O_DIRECTORY);
  auto opens = [&](const char* path) {
    return bool(UniqueFd(open_name_by_name(root.get(), path, O_RDONLY | O_CLOEXEC, 0)));
  };
  EXPECT_TRUE(opens("."));
  EXPECT_TRUE(opens("base"));
  EXPECT_TRUE(opens("base/5/1"));
  EXPECT_FALSE(opens("base/out"));
  EXPECT_FALSE(opens("base/out/precious"));
  EXPECT_FALSE(opens("base/file"));
  EXPECT_FALSE(opens("base/../../neighbour/precious"));
  EXPECT_FALSE(opens("../neighbour"));
  EXPECT_FALSE(opens(".."));
}

TEST_F(TreeOfDirectories, has_roots_of_their_own_for_what_is_linked_on_purpose) {
  tree_.add_root("pg_tblspc/1", scratch_ / "tbs");
  tree_.make_link("pg_tblspc/1", scratch_ / "tbs");
  tree_.make_directory("pg_tblspc/1/PG_15", 0700);
  tree_.write_file("pg_tblspc/1/PG_15/file", "x", 0600);
  EXPECT_EQ(content_of(scratch_ / "tbs/PG_15/file"), "x");
  EXPECT_EQ(tree_.entries("pg_tblspc/1"), Names{"PG_15"});
  // The link leads elsewhere by somebody's hand: what is meant is still the root.
  fs::remove(scratch_ / "data/pg_tblspc/1");
  fs::create_directory_symlink(scratch_ / "neighbour", scratch_ / "data/pg_tblspc/1");
  tree_.write_file("pg_tblspc/1/more", "x", 0600);
  EXPECT_EQ(names_in(scratch_ / "tbs"), (Names{"PG_15", "more"}));
  tree_.remove("pg_tblspc/1");
  EXPECT_FALSE(fs::exists(scratch_ / "data/pg_tblspc/1"));
  EXPECT_EQ(names_in(scratch_ / "tbs"), (Names{"PG_15", "more"}));
  // A directory of that name is one of the data directory's.
  tree_.make_directory("pg_tblspc/1", 0700);
  tree_.write_file("pg_tblspc/1/file", "x", 0600);
  EXPECT_EQ(names_in(scratch_ / "data/pg_tblspc/1"), Names{"file"});
  // "pg_tblspc/1" is not what "pg_tblspc/10" begins with.
  tree_.add_root("pg_tblspc/1", scratch_ / "tbs");
  tree_.make_directory("pg_tblspc/10", 0700);
  EXPECT_TRUE(fs::is_directory(scratch_ / "data/pg_tblspc/10"));
}

TEST_F(TreeOfDirectories, removes_what_is_there_and_no_more) {
  fs::create_directories(scratch_ / "data/old/deep/er");
  put_file(scratch_ / "data/old/deep/file", "x");
  fs::create_directory_symlink(scratch_ / "neighbour", scratch_ / "data/old/deep/out");
  tree_.remove("old");
  tree_.remove("old");
  tree_.remove_content("base");
  EXPECT_EQ(names_in(scratch_ / "data"), (Names{"base", "pg_tblspc"}));
  EXPECT_TRUE(fs::is_empty(scratch_ / "data/base"));
}

TEST_F(TreeOfDirectories, replaces_what_is_of_another_kind) {
  fs::create_directory_symlink(scratch_ / "neighbour", scratch_ / "data/pg_wal");
  put_file(scratch_ / "data/global", "x");
  tree_.make_directory("pg_wal", 0750);
  tree_.make_directory("global", 0750);
  EXPECT_TRUE(tree_.is_directory("pg_wal"));
  EXPECT_EQ(tree_.status("global")->st_mode & 07777, 0750u);
  tree_.make_link("base", scratch_ / "tbs");
  EXPECT_EQ(tree_.read_link("base"), scratch_ / "tbs");
}

TEST_F(TreeOfDirectories, lives_with_directories_that_cannot_be_synced) {
  for (int error : {EINVAL, EBADF, EOPNOTSUPP, ENOSYS}) {
    disk_.directory_error = disk_.file_system_error = error;
    int before = disk_.syncs;
    EXPECT_FALSE(tree_.sync_file_systems()) << error;
    tree_.write_file("file", "x", 0600);
    tree_.sync_directory("base");
    tree_.sync_all();
    EXPECT_GT(disk_.syncs, before + 3) << "each by itself";
  }
  disk_.directory_error = 0;
  disk_.file_error = EINVAL;
  EXPECT_THROW(tree_.sync_all(), Failure) << "a file can be synced, or is not durable";
}

TEST_F(TreeOfDirectories, does_not_live_with_a_disk_that_fails) {
  disk_.file_system_error = EIO;
  EXPECT_THROW(tree_.sync_all(), Failure);
  disk_.directory_error = EIO;
  EXPECT_THROW(tree_.sync_directory("base"), Failure);
}

TEST_F(TreeOfDirectories, without_syncs_has_none) {
  disk_.directory_error = disk_.file_error = disk_.file_system_error = EIO;
  Tree tree(disk_, false);
  tree.add_root("", scratch_ / "data");
  tree.write_file("file", "x", 0600);
  tree.sync_file("file");
  tree.sync_directory("");
  tree.sync_all();
  EXPECT_EQ(disk_.syncs, 0);
}

}  // namespace
}  // namespace standby_clone
