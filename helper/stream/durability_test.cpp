// durability_test.cpp: what the journal promises is on the disk, wherever in a clone the power is
// cut: a clone of a few files on a disk that loses all that was not synced, cut before
// each call that changes something, in turn.
#include <gtest/gtest.h>

#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "helper/base/failure.h"
#include "helper/claim/claim.h"
#include "helper/disk/aligned_buffer.h"
#include "helper/disk/faulty_disk.h"
#include "helper/disk/recorder.h"
#include "helper/disk/scratch_directory.h"
#include "helper/stream/active_files.h"
#include "helper/stream/content_of_tests.h"

namespace standby_clone {
namespace {

const std::string& content_for(const std::string& path, std::size_t size) {
  static std::map<std::string, std::string> known;
  if (known.contains(path)) return known.at(path);
  return known[path] = random_content(size, std::hash<std::string>()(path));
}

// A few files with directories on the way; two runs of it: some of the files are there before.
struct Copied {
  std::vector<std::pair<std::string, std::size_t>> files = {
      {"PG_VERSION", 3},           {"base/1/1259", 3 * kChunk + 8192}, {"base/1/1260", 8192},
      {"base/5/16384", 2 * kChunk}, {"base/5/empty", 0},               {"global/1262", 8192}};
  std::vector<std::string> directories = {"base", "base/1", "base/5", "global"};
};

// The clone, until it is done or the power is cut.
void clone(const Copied& copied, const std::string& data, FaultyDisk& disk) {
  auto opened = open_target({data, {}, "", true, false, &disk});
  Target& target = *opened;
  target.begin_session(SessionRecord{});
  for (const auto& directory : copied.directories) target.make_directory(directory);
  FileList list;
  std::vector<std::byte> bytes(100 * copied.files.size());
  protocol::Writer writer(bytes);
  for (const auto& [path, size] : copied.files) {
    protocol::Entry entry;
    entry.kind = protocol::EntryKind::kRelationFile;
    entry.mode = 0600;
    entry.size = size;
    entry.path = path;
    protocol::Entry::fields(writer, entry);
  }
  list.add_batch({protocol::Bytes(bytes).first(writer.size())});
  std::exception_ptr failure;
  Recorder recorder(target, [&] { failure = std::current_exception(); }, {kChunk, 1000000});
  CopyCounters counters;
  ActiveFiles files(list, target, ManifestChecksums::kCrc32c, counters, &recorder);
  for (std::uint32_t file = 0; file < list.files.size(); ++file) {
    const auto& [path, size] = copied.files[file];
    const std::string& content = content_for(path, size);
    std::uint64_t at = 0;
    do {
      auto part = std::string_view(content).substr(at, kChunk);
      AlignedBuffer buffer(kChunk);
      std::memcpy(buffer.data(), part.data(), part.size());
      if (!part.empty()) files.write(file, at, {buffer.data(), part.size()});
      files.chunk_done(file, {at, static_cast<std::uint32_t>(part.size()), crc_of(part)});
      recorder.flush();
      if (failure) std::rethrow_exception(failure);
      at += kChunk;
    } while (at < size);
  }
  target.sync_all();
}

// Every promise of the journal against what is there. Returns how many there were.
int check_promises(const Copied& copied, const std::string& data, const std::string& journal_bytes,
                   const std::string& what) {
  Journal journal = Journal::parse(journal_bytes, what);
  int promises = 0;
  journal.files.for_each([&](std::string_view name, const KnownFile& known) {
    std::string path(name);
    std::string found = content_of(data + "/" + path);
    std::size_t size = 0;
    for (const auto& [its_name, its_size] : copied.files)
      if (its_name == path) size = its_size;
    if (known.is_complete) {
      ++promises;
      EXPECT_TRUE(std::filesystem::exists(data + "/" + path)) << what << path;
      EXPECT_EQ(found.size(), known.size) << what << path;
      EXPECT_EQ(known.size, size) << what << path;
      EXPECT_EQ(crc_of(found), known.crc) << what << path;
    }
    for (const auto& chunk : known.chunks) {
      ++promises;
      EXPECT_GE(found.size(), chunk.offset + chunk.length) << what << path;
      if (found.size() < chunk.offset + chunk.length) continue;
      EXPECT_EQ(crc_of(std::string_view(found).substr(chunk.offset, chunk.length)), chunk.crc)
          << what << path << " at " << chunk.offset;
    }
  });
  return promises;
}

class PowerIsCut : public testing::TestWithParam<bool> {};

TEST_P(PowerIsCut, and_the_journal_promises_only_what_is_there) {
  Copied copied;
  int cut = 0, most_promises = 0;
  for (bool was_cut = true; was_cut; ++cut) {
    // What is written is read back many times; no sync of it is a real one.
    ScratchDirectory scratch(std::filesystem::exists("/dev/shm") ? "/dev/shm" : "");
    std::string data = scratch / "disk/data";
    std::filesystem::create_directories(data);
    FaultyDisk disk(scratch / "disk");
    disk.has_file_systems = GetParam();
    disk.cut_before = cut;
    try {
      clone(copied, data, disk);
    } catch (const Failure&) {
      EXPECT_TRUE(disk.is_off());
    }
    was_cut = disk.is_off();
    disk.restore(scratch / "after");
    std::string after = scratch / "after/data";
    std::string what = "cut before call " + std::to_string(cut) + ": ";
    if (!std::filesystem::exists(after + "/" + kJournalName)) {
      EXPECT_EQ(most_promises, 0) << what << "the journal is gone";
      continue;
    }
    int promises = check_promises(copied, after, content_of(after + "/" + kJournalName), what);
    EXPECT_GE(promises, most_promises > 0 ? 1 : 0) << what;
    most_promises = std::max(most_promises, promises);
    // Bytes may reach a disk without a sync too: those of the journal alone, by bad luck.
    if (std::filesystem::exists(data + "/" + kJournalName))
      check_promises(copied, after, content_of(data + "/" + kJournalName), what + "(lucky journal) ");
  }
  EXPECT_GT(cut, 15) << "there was little to cut";
  EXPECT_GE(most_promises, 5);
}

INSTANTIATE_TEST_SUITE_P(Systems, PowerIsCut, testing::Bool());

// The one thing a disk of this kind must be able to do: lose.
TEST(FaultyDisk, loses_what_was_not_synced) {
  ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "disk/a");
  FaultyDisk disk(scratch / "disk");
  put_file(scratch / "disk/a/unsynced", "x");
  put_file(scratch / "disk/a/named", "x");
  put_file(scratch / "disk/a/whole", "whole");
  UniqueFd file(::open((scratch / "disk/a/whole").c_str(), O_RDONLY));
  disk.sync(file.get());
  std::filesystem::remove(scratch / "disk/a/unsynced");
  disk.sync(UniqueFd(::open((scratch / "disk/a").c_str(), O_RDONLY)).get());
  put_file(scratch / "disk/a/later", "x");
  put_file(scratch / "disk/a/whole", "changed");
  disk.restore(scratch / "after");
  EXPECT_EQ(names_in(scratch / "after/a"), (std::vector<std::string>{"named", "whole"}));
  EXPECT_EQ(content_of(scratch / "after/a/named"), "");
  EXPECT_EQ(content_of(scratch / "after/a/whole"), "whole");
}

}  // namespace
}  // namespace standby_clone
