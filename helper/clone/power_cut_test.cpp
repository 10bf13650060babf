// power_cut_test.cpp: wherever the power is cut between the first look at a directory and the last word of
// the journal, the directory starts as what it was before, or as the whole standby, or not at all;
// and the same command goes on.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include "helper/base/failure.h"
#include "helper/claim/claim.h"
#include "helper/disk/faulty_disk.h"
#include "helper/disk/recorder.h"
#include "helper/disk/scratch_directory.h"
#include "helper/plan/leftovers.h"
#include "helper/standby/standby.h"
#include "helper/stream/active_files.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;
using Content = std::map<std::string, std::string>;

// A pg_control of PostgreSQL 15 that can be told from others.
std::string control_file(std::uint32_t catalog_version) {
  std::string bytes(8192, '\0');
  auto put = [&](std::size_t at, std::uint32_t word) { std::memcpy(&bytes[at], &word, sizeof(word)); };
  put(0, 4711);
  put(8, 1300);
  put(12, catalog_version);
  put(16, 1);  // shut down
  put(288, protocol::crc32c(std::as_bytes(std::span(bytes).first(288))));
  return bytes;
}

const Content kNew = {{"PG_VERSION", "15\n"},
                      {"postgresql.auto.conf", "work_mem = '5MB'\n"},
                      {"base/1/1259", "new"},
                      {"base/1/1260", "as it was"},
                      {"global/1262", "databases"},
                      {"pg_tblspc/1/PG_15/1", "in a tablespace"}};
const Content kOld = {{"PG_VERSION", "15\n"},       {"postgresql.conf", "port = 5\n"},
                      {"base/1/1259", "old"},       {"base/1/1260", "as it was"},
                      {"base/1/9999", "dropped"},   {"global/1262", "databases"},
                      {"pg_wal/000000010000000000000001", "old WAL"},
                      {"global/pg_control", control_file(1)}};

constexpr char kLockOfTheDead[] = "999999999\n/data\n";
constexpr auto kAsTheyAre = fs::copy_options::recursive | fs::copy_options::copy_symlinks;

struct Places {
  std::string root, data, space;
};

TargetOptions options_for(const Places& places, bool delta, Disk* disk) {
  return {places.data, {{"/donor/space", places.space}}, "", true, delta, disk};
}

FileList new_list() {
  using protocol::EntryKind;
  FileList list;
  std::vector<std::byte> bytes(64 * 1024);
  protocol::Writer writer(bytes);
  auto add = [&](EntryKind kind, std::string_view path, std::size_t size = 0,
                 std::string_view leads_to = "") {
    protocol::Entry entry;
    entry.kind = kind;
    entry.mode = 0600;
    entry.size = size;
    entry.path = path;
    entry.target = leads_to;
    protocol::Entry::fields(writer, entry);
  };
  for (const char* directory :
       {"base", "base/1", "global", "pg_wal", "pg_wal/archive_status", "pg_tblspc"})
    add(EntryKind::kDirectory, directory);
  add(EntryKind::kTablespace, "pg_tblspc/1", 0, "/donor/space");
  add(EntryKind::kDirectory, "pg_tblspc/1/PG_15");
  for (const auto& [path, content] : kNew) add(EntryKind::kRelationFile, path, content.size());
  list.add_batch({protocol::Bytes(bytes).first(writer.size())});
  return list;
}

void make_layout(Target& target, const FileList& list, const Leftovers& leftovers) {
  for (const auto& directory : list.directories)
    if (!directory.starts_with("pg_tblspc/")) target.make_directory(directory);
  for (const auto& tablespace : list.tablespaces)
    target.make_tablespace(tablespace.path, tablespace.target);
  for (const auto& directory : list.directories)
    if (directory.starts_with("pg_tblspc/")) target.make_directory(directory);
  remove_leftovers(target, leftovers);
}

// As Copy::adopt() has it.
bool is_known(const Target& target, const std::string& path, std::uint64_t size, const KnownFiles& known) {
  const KnownFile* promised = known.find(path);
  if (promised == nullptr || !promised->is_complete) return false;
  if (auto local = target.open_local(path); local && local->size() == size && promised->size == size) return true;
  JournalRecords forgotten;
  forgotten.forget(path);
  target.append_to_journal(forgotten);
  return false;
}

void copy(Target& target, FileList& list, const KnownFiles& known) {
  std::exception_ptr failure;
  Recorder recorder(target, [&] { failure = std::current_exception(); }, {1 << 20, 1000000});
  CopyCounters counters;
  ActiveFiles files(list, target, ManifestChecksums::kCrc32c, counters, &recorder);
  for (std::uint32_t file = 0; file < list.files.size(); ++file) {
    std::string path(list.path(list.files[file]));
    const std::string& content = kNew.at(path);
    if (is_known(target, path, content.size(), known)) {
      files.adopt(file, *known.find(path));
      continue;
    }
    auto bytes = std::as_bytes(std::span(content));
    files.write(file, 0, bytes);
    files.chunk_done(file, {0, static_cast<std::uint32_t>(content.size()), protocol::crc32c(bytes)});
    recorder.flush();
    if (failure) std::rethrow_exception(failure);
  }
}

// Whether the donor still has the session of an earlier run.
enum class Lease { kRuns, kIsOver };

// A whole clone, as clone.cpp has it, but for the donor.
void clone(const TargetOptions& options, Lease lease = Lease::kIsOver) {
  auto opened = open_target(options);
  Target& target = *opened;
  if (target.was_complete()) return;
  bool goes_on = lease == Lease::kRuns && target.state() == Target::State::kResumed && target.session();
  FileList list = new_list();
  Leftovers leftovers;
  if (target.is_used())
    leftovers = look_for_leftovers(target, list, goes_on && target.is_laid_out() ? OldWal::kStays : OldWal::kGoes);
  if (target.state() == Target::State::kCluster) claim_cluster(target, {.to_update = true});
  KnownFiles known;
  if (goes_on) {
    known = target.go_on_in_session();
  } else {
    SessionRecord session;
    session.id = 17;
    target.begin_session(session);
  }
  make_layout(target, list, leftovers);
  target.end_layout();
  copy(target, list, known);
  target.sync_all();
  StandbyFiles files;
  files.backup_label = "START WAL LOCATION: 0/2000028\n";
  files.control_file = control_file(2);
  files.conninfo = "host=donor";
  files.server_version = 150000;
  files.wal = {{1, 0x2000028, 0x2000100}};
  prepare_standby(target, list, files);
  commit_standby(target);
}

// What a server would find that is started there.
void check_new(const Places& places, const std::string& what) {
  for (const auto& [path, content] : kNew)
    if (path != "postgresql.auto.conf") {
      EXPECT_EQ(content_of(places.data + "/" + path), content) << what << path;
    }
  EXPECT_EQ(content_of(places.data + "/backup_label"), "START WAL LOCATION: 0/2000028\n") << what;
  EXPECT_NE(content_of(places.data + "/postgresql.auto.conf").find("host=donor"), std::string::npos) << what;
  EXPECT_NE(content_of(places.data + "/backup_manifest").find("Manifest-Checksum"), std::string::npos) << what;
  EXPECT_TRUE(fs::exists(places.data + "/standby.signal")) << what;
  EXPECT_FALSE(fs::exists(places.data + "/base/1/9999")) << what;
  EXPECT_FALSE(fs::exists(places.data + "/pg_wal/000000010000000000000001")) << what;
  std::error_code error;
  EXPECT_EQ(fs::read_symlink(places.data + "/pg_tblspc/1", error), places.space) << what;
}

void check_old(const Places& places, const std::string& what) {
  for (const auto& [path, content] : kOld)
    EXPECT_EQ(content_of(places.data + "/" + path), content) << what << path;
  EXPECT_FALSE(fs::exists(places.data + "/backup_label")) << what;
  EXPECT_FALSE(fs::exists(places.data + "/standby.signal")) << what;
}

// Returns how many promises the journal made. The settings are the standby's own in the end: of another
// length, or read by nobody again.
int check_promises(const Places& places, const std::string& what) {
  Journal journal = Journal::parse(content_of(places.data + "/" + kJournalName), what);
  journal.files.for_each([&](std::string_view known, const KnownFile&) {
    std::string path(known);
    if (path == "postgresql.auto.conf") return;
    EXPECT_EQ(content_of(places.data + "/" + path), kNew.at(path)) << what << path;
  });
  return static_cast<int>(journal.files.count());
}

struct Case {
  bool delta = false, has_file_systems = false;
};

class PowerIsCutInAClone : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!GetParam().delta) return;
    for (const auto& [path, content] : kOld) {
      fs::create_directories(fs::path(places_.data + "/" + path).parent_path());
      put_file(places_.data + "/" + path, content);
    }
    fs::create_directories(places_.data + "/pg_tblspc");
    put_file(places_.data + "/postmaster.pid", kLockOfTheDead);
    fs::copy(places_.root, scratch_ / "before", fs::copy_options::recursive);
  }

  // The root as it was before the first run.
  void begin_again() {
    fs::remove_all(places_.root);
    if (GetParam().delta)
      fs::copy(scratch_ / "before", places_.root, fs::copy_options::recursive);
    else
      fs::create_directories(places_.root);
  }

  // The power is cut; what is durable of the disk is the root then.
  void come_back(FaultyDisk& disk, FaultyDisk::Luck luck) {
    disk.restore(scratch_ / "after", luck);
    fs::remove_all(places_.root);
    fs::rename(scratch_ / "after", places_.root);
  }

  // What stands in the root by now, judged.
  void judge(const std::string& what, Lease lease) {
    std::string control = content_of(places_.data + "/global/pg_control");
    bool has_journal = fs::exists(places_.data + "/" + kJournalName);
    if (control == control_file(2)) {
      check_new(places_, what);
      ++seen_new_;
    } else if (fs::exists(places_.data + "/global/pg_control")) {
      EXPECT_TRUE(GetParam().delta) << what;
      check_old(places_, what);
      ++seen_old_;
    } else {
      EXPECT_TRUE(has_journal || !GetParam().delta) << what << "nobody's";
      ++seen_unfinished_;
    }
    if (has_journal) promises_ += check_promises(places_, what);
    // The same command goes on from there, to the end.
    if (control == control_file(2) && !has_journal) return;
    ASSERT_NO_THROW(clone(options_for(places_, GetParam().delta, nullptr), lease)) << what;
    check_new(places_, what + "(gone on with) ");
    EXPECT_EQ(content_of(places_.data + "/global/pg_control"), control_file(2)) << what;
    EXPECT_FALSE(fs::exists(places_.data + "/" + kJournalName)) << what;
    EXPECT_FALSE(fs::exists(places_.data + "/postmaster.pid")) << what;
  }

  // What is written is read back many times; no sync of it is a real one.
  ScratchDirectory scratch_{fs::exists("/dev/shm") ? "/dev/shm" : ""};
  Places places_{scratch_ / "disk", scratch_ / "disk/data", scratch_ / "disk/space"};
  int seen_old_ = 0, seen_new_ = 0, seen_unfinished_ = 0, promises_ = 0;
};

TEST_P(PowerIsCutInAClone, and_the_directory_is_whole_or_cannot_be_started) {
  int cut = 0;
  for (bool was_cut = true; was_cut; ++cut) {
    for (auto luck : {FaultyDisk::Luck::kNone, FaultyDisk::Luck::kNames, FaultyDisk::Luck::kAll}) {
      begin_again();
      FaultyDisk disk(places_.root);
      disk.has_file_systems = GetParam().has_file_systems;
      disk.cut_before = cut;
      try {
        clone(options_for(places_, GetParam().delta, &disk));
      } catch (const Failure& failure) {
        ASSERT_TRUE(disk.is_off()) << failure.message;
      }
      was_cut = disk.is_off();
      come_back(disk, luck);
      judge("cut before call " + std::to_string(cut) + ", luck " + std::to_string(static_cast<int>(luck)) + ": ",
            cut % 2 == 0 ? Lease::kRuns : Lease::kIsOver);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(cut, 80) << "there was little to cut";
  EXPECT_GT(seen_unfinished_, 100);
  EXPECT_GE(seen_new_, 3);
  EXPECT_GT(seen_old_, GetParam().delta ? 5 : -1);
  EXPECT_GT(promises_, 100);
}

// An earlier run was cut in the middle; the one that goes on with it, too.
TEST_P(PowerIsCutInAClone, and_in_the_one_that_goes_on_with_it) {
  int calls = 0;
  {
    begin_again();
    FaultyDisk disk(places_.root);
    disk.has_file_systems = GetParam().has_file_systems;
    clone(options_for(places_, GetParam().delta, &disk));
    calls = disk.calls();
  }
  for (int first_cut : {calls / 2, calls * 7 / 10}) {
    begin_again();
    FaultyDisk first(places_.root);
    first.has_file_systems = GetParam().has_file_systems;
    first.cut_before = first_cut;
    EXPECT_THROW(clone(options_for(places_, GetParam().delta, &first)), Failure);
    come_back(first, FaultyDisk::Luck::kNone);
    EXPECT_GT(check_promises(places_, "half: "), 0);
    ScratchDirectory half(fs::exists("/dev/shm") ? "/dev/shm" : "");
    fs::copy(places_.root, half / "disk", kAsTheyAre);
    int cut = 0;
    for (bool was_cut = true; was_cut; ++cut)
      for (auto luck : {FaultyDisk::Luck::kNone, FaultyDisk::Luck::kNames, FaultyDisk::Luck::kAll}) {
        fs::remove_all(places_.root);
        fs::copy(half / "disk", places_.root, kAsTheyAre);
        FaultyDisk disk(places_.root);
        disk.has_file_systems = GetParam().has_file_systems;
        disk.cut_before = cut;
        try {
          clone(options_for(places_, GetParam().delta, &disk), Lease::kRuns);
        } catch (const Failure& failure) {
          ASSERT_TRUE(disk.is_off()) << failure.message;
        }
        was_cut = disk.is_off();
        come_back(disk, luck);
        judge("cut at " + std::to_string(first_cut) + " and again before call " + std::to_string(cut) + ", luck " +
                  std::to_string(static_cast<int>(luck)) + ": ",
              Lease::kRuns);
        if (HasFatalFailure()) return;
      }
    EXPECT_GT(cut, 30) << "there was little to cut";
  }
  EXPECT_GE(seen_new_, 6);
}

// A server begins in the moment in which the lock file of a dead one goes: its own is given back to it.
class DiskOfABeginner : public FaultyDisk {
 public:
  DiskOfABeginner(std::string root, std::string data) : FaultyDisk(std::move(root)), data_(std::move(data)) {}
  int rename(int from_directory, const char* from, int to_directory, const char* to) override {
    if (std::string_view(from) == kLockFileName) put_file(data_ + "/" + kLockFileName, kLockOfABeginner);
    return FaultyDisk::rename(from_directory, from, to_directory, to);
  }
  static constexpr char kLockOfABeginner[] = "1\n/begun\n";

 private:
  const std::string data_;
};

TEST_P(PowerIsCutInAClone, and_a_server_that_begins_meanwhile_keeps_its_lock) {
  if (!GetParam().delta) return;
  int cut = 0;
  for (bool was_cut = true; was_cut; ++cut)
    for (auto luck : {FaultyDisk::Luck::kNone, FaultyDisk::Luck::kNames, FaultyDisk::Luck::kAll}) {
      begin_again();
      DiskOfABeginner disk(places_.root, places_.data);
      disk.has_file_systems = GetParam().has_file_systems;
      disk.cut_before = cut;
      EXPECT_THROW(clone(options_for(places_, true, &disk)), Failure) << cut;
      was_cut = disk.is_off();
      std::string what = "cut before call " + std::to_string(cut) + ": ";
      if (!was_cut) {
        EXPECT_EQ(content_of(places_.data + "/" + kLockFileName), DiskOfABeginner::kLockOfABeginner);
      }
      come_back(disk, luck);
      check_old(places_, what);
      // With the power, that server has ended.
      fs::remove(places_.data + "/" + kLockFileName);
      ASSERT_NO_THROW(clone(options_for(places_, true, nullptr))) << what;
      check_new(places_, what);
    }
  EXPECT_GE(cut, 4) << "there was little to cut";
}

INSTANTIATE_TEST_SUITE_P(Clones, PowerIsCutInAClone,
                         testing::Values(Case{false, true}, Case{false, false}, Case{true, true},
                                         Case{true, false}),
                         [](const auto& info) {
                           return std::string(info.param.delta ? "delta" : "fresh") +
                                  (info.param.has_file_systems ? "" : "_without_syncfs");
                         });

}  // namespace
}  // namespace standby_clone
