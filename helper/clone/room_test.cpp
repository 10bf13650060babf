// room_test.cpp: whether there is room is known before the first change: where nothing of the layout is there
// yet, with what is used again and what goes.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <sys/stat.h>

#include "helper/claim/claim.h"
#include "helper/disk/scratch_directory.h"
#include "helper/plan/leftovers.h"
#include "helper/plan/space.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;
using protocol::EntryKind;

constexpr std::uint64_t kMoreThanThereIs = std::uint64_t{1} << 49;

class Room : public testing::Test {
 protected:
  Room() {
    fs::create_directory(data_);
    list_.directories = {"base", "base/5", "global", "pg_wal", "pg_tblspc", "pg_tblspc/1/PG_15"};
    list_.tablespaces = {{"pg_tblspc/1", "/donor/space"}};
  }

  // A cluster that was shut down.
  void make_cluster() {
    std::string control(8192, '\0');
    auto put = [&](std::size_t at, std::uint32_t word) { std::memcpy(&control[at], &word, sizeof(word)); };
    put(0, 4711);
    put(8, 1300);
    put(16, 1);
    put(288, protocol::crc32c(std::as_bytes(std::span(control).first(288))));
    for (const char* directory : {"base/5", "global", "pg_wal/archive_status"}) fs::create_directories(data_ + "/" + directory);
    put_file(data_ + "/PG_VERSION", "15\n");
    put_file(data_ + "/global/pg_control", control);
  }
  void add(const std::string& path, std::uint64_t size) {
    protocol::Entry entry;
    entry.kind = EntryKind::kRelationFile;
    entry.mode = 0600;
    entry.size = size;
    entry.path = path;
    std::vector<std::byte> bytes(1024);
    protocol::Writer writer(bytes);
    protocol::Entry::fields(writer, entry);
    list_.add_batch({protocol::Bytes(bytes).first(writer.size())});
  }
  std::unique_ptr<Target> open() const {
    return open_target({data_, {{"/donor/space", space_}}, "", true, true, nullptr});
  }
  dev_t device() const {
    struct stat status {};
    EXPECT_EQ(stat(data_.c_str(), &status), 0);
    return status.st_dev;
  }

  ScratchDirectory scratch_;
  std::string data_ = scratch_ / "data", space_ = scratch_ / "not/there/yet";
  FileList list_;
};

TEST_F(Room, is_looked_for_where_nothing_is_made_yet) {
  auto target = open();
  add("base/5/1", 8192);
  EXPECT_TRUE(find_shortages(*target, list_, {}).empty());
  add("pg_tblspc/1/PG_15/5/1", kMoreThanThereIs);
  auto shortages = find_shortages(*target, list_, {});
  ASSERT_EQ(shortages.size(), 1u);
  EXPECT_EQ(shortages[0].needed, kMoreThanThereIs + 8192);
  EXPECT_FALSE(fs::exists(data_ + "/base"));
  EXPECT_FALSE(fs::exists(scratch_ / "not"));
}

TEST_F(Room, counts_what_is_used_again_and_what_goes) {
  make_cluster();
  const std::string block(1 << 20, 'x');
  put_file(data_ + "/base/5/1", block);        // used again
  put_file(data_ + "/base/5/2", block);        // goes
  put_file(data_ + "/base/5/3", block);        // goes, and is somebody else's yet
  fs::create_hard_link(data_ + "/base/5/3", scratch_ / "other");
  put_file(data_ + "/base/5/4", block);        // used, but has another name: made anew
  fs::create_hard_link(data_ + "/base/5/4", scratch_ / "another");
  put_file(data_ + "/pg_wal/000000010000000000000001", block);
  auto target = open();
  ASSERT_EQ(target->state(), Target::State::kCluster);
  add("PG_VERSION", 3);
  add("base/5/1", kMoreThanThereIs);
  add("base/5/4", 1 << 20);

  Leftovers found = look_for_leftovers(*target, list_, OldWal::kStays);
  ASSERT_EQ(found.room.size(), 1u);
  std::uint64_t one = found.room.at(device());
  EXPECT_GE(one, 1u << 20);
  EXPECT_LT(one, 2u << 20);
  found = look_for_leftovers(*target, list_, OldWal::kGoes);
  EXPECT_GE(found.room.at(device()), 2u << 20);

  auto shortages = find_shortages(*target, list_, found);
  ASSERT_EQ(shortages.size(), 1u);
  EXPECT_LE(shortages[0].needed, kMoreThanThereIs + 3);
  EXPECT_GE(shortages[0].needed, kMoreThanThereIs - (1 << 16));
  found.room[device()] = kMoreThanThereIs;
  EXPECT_TRUE(find_shortages(*target, list_, found).empty());
  EXPECT_EQ(names_in(data_ + "/base/5"), (std::vector<std::string>{"1", "2", "3", "4"})) << "looking only";
  EXPECT_TRUE(fs::exists(data_ + "/global/pg_control"));
}

// A WAL directory that will not do is known before the first change, too.
TEST_F(Room, of_the_wal_is_looked_at_before_anything_is_changed) {
  make_cluster();
  fs::create_directory(scratch_ / "wal");
  put_file(scratch_ / "wal/thesis.txt", "years of work");
  auto target = open_target({data_, {}, scratch_ / "wal", true, true, nullptr});
  try {
    target->check_wal_directory();
    ADD_FAILURE() << "was taken";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kTargetRefused);
    EXPECT_NE(failure.message.find("is not empty"), std::string::npos) << failure.message;
  }
}

}  // namespace
}  // namespace standby_clone
