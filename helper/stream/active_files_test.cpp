// active_files_test.cpp: files put together from chunks in any order, from many
// threads, and from a donor whose files change meanwhile.
#include "helper/stream/active_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <sys/stat.h>
#include <thread>

#include "helper/base/failure.h"
#include "helper/claim/claim.h"
#include "helper/disk/aligned_buffer.h"
#include "helper/disk/scratch_directory.h"
#include "helper/stream/content_of_tests.h"

namespace standby_clone {
namespace {

struct Listed {
  std::string path;
  std::uint64_t size;
  std::uint16_t mode = 0600;
};

class Assembly : public testing::Test {
 protected:
  void list(const std::vector<Listed>& files,
            ManifestChecksums checksums = ManifestChecksums::kCrc32c) {
    std::vector<std::byte> bytes(100 * files.size());
    protocol::Writer writer(bytes);
    for (const auto& file : files) {
      protocol::Entry entry;
      entry.kind = protocol::EntryKind::kFile;
      entry.mode = file.mode;
      entry.size = file.size;
      entry.path = file.path;
      protocol::Entry::fields(writer, entry);
    }
    list_.add_batch({protocol::Bytes(bytes).first(writer.size())});
    files_ = std::make_unique<ActiveFiles>(list_, target_, checksums, counters_);
  }

  // The chunk of `content` at `offset`, as a stream brings it: cut to what there is.
  void bring(std::uint32_t file, std::string_view content, std::uint64_t offset) {
    auto part = content.substr(std::min<std::size_t>(offset, content.size()), kChunk);
    bring_part(file, part, offset);
  }
  void bring_part(std::uint32_t file, std::string_view part, std::uint64_t offset) {
    if (!part.empty()) {
      AlignedBuffer buffer(kChunk);
      std::memcpy(buffer.data(), part.data(), part.size());
      files_->write(file, offset, {buffer.data(), part.size()});
    }
    files_->chunk_done(file, {offset, static_cast<std::uint32_t>(part.size()), crc_of(part), false});
  }
  void expect(std::uint32_t file, const std::string& content) {
    const File& entry = list_.files[file];
    EXPECT_TRUE(content_of(shown(file)) == content) << list_.path(entry);
    EXPECT_EQ(entry.size, content.size());
    EXPECT_EQ(entry.crc, crc_of(content));
    EXPECT_FALSE(entry.is_gone);
  }
  std::string shown(std::uint32_t file) {
    return target_.path() + "/" + std::string(list_.path(list_.files[file]));
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Target> opened_ = open_target({scratch_.path(), {}, "", false});
  Target& target_ = *opened_;
  FileList list_;
  CopyCounters counters_;
  std::unique_ptr<ActiveFiles> files_;
};

TEST_F(Assembly, takes_chunks_in_any_order) {
  std::string content = random_content(3 * kChunk + 100);
  std::vector<std::uint64_t> order = {0, 1, 2, 3};
  std::vector<Listed> listed;
  for (int file = 0; file < 24; ++file) listed.push_back({"f" + std::to_string(file), content.size()});
  list(listed);
  std::uint32_t file = 0;
  do {
    for (auto chunk : order) bring(file, content, chunk * kChunk);
    expect(file++, content);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(counters_.files_done, 24u);
}

TEST_F(Assembly, finishes_a_file_with_its_last_chunk_only) {
  std::string content = random_content(kChunk + 1);
  list({{"file", content.size(), 0400}});
  bring(0, content, kChunk);
  EXPECT_EQ(counters_.files_done, 0u);
  struct stat status;
  ASSERT_EQ(stat(shown(0).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  bring(0, content, 0);
  EXPECT_EQ(counters_.files_done, 1u);
  ASSERT_EQ(stat(shown(0).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0400u);
}

TEST_F(Assembly, makes_an_empty_file) {
  list({{"file", 0}});
  bring(0, "", 0);
  expect(0, "");
  EXPECT_TRUE(std::filesystem::is_regular_file(shown(0)));
  EXPECT_EQ(list_.files[0].crc, 0u);
}

TEST_F(Assembly, of_a_file_that_was_cut_short_has_what_came) {
  std::string content = random_content(kChunk + 500000);
  list({{"later", 3 * kChunk}, {"sooner", 3 * kChunk}, {"to_nothing", 3 * kChunk}});
  for (std::uint64_t chunk : {0, 1, 2}) bring(0, content, chunk * kChunk);
  expect(0, content);
  for (std::uint64_t chunk : {2, 1, 0}) bring(1, content, chunk * kChunk);
  expect(1, content);
  for (std::uint64_t chunk : {0, 1, 2}) bring(2, "", chunk * kChunk);
  expect(2, "");
}

// Cut, and grown again before its end was read.
TEST_F(Assembly, has_zeros_where_a_file_was_cut_and_grew_again) {
  std::string begin = random_content(8192), end = random_content(100, 2);
  list({{"file", 3 * kChunk}, {"only_end", 2 * kChunk}});
  bring_part(0, end, 2 * kChunk);
  bring_part(0, begin, 0);
  bring_part(0, "", kChunk);
  expect(0, begin + std::string(2 * kChunk - begin.size(), '\0') + end);
  bring_part(1, "", 0);
  bring_part(1, end, kChunk);
  expect(1, std::string(kChunk, '\0') + end);
}

// A chunk of zeros is told, not written.
TEST_F(Assembly, has_zeros_where_nothing_was_written) {
  std::string zeros(kChunk, '\0'), content = random_content(kChunk);
  list({{"all", 2 * kChunk}, {"small", 8192}, {"end", 2 * kChunk}});
  auto tell = [&](std::uint32_t file, std::uint64_t offset, std::uint32_t size) {
    files_->chunk_done(file, {offset, size, crc_of(zeros.substr(0, size)), false});
  };
  tell(0, 0, kChunk);
  tell(0, kChunk, kChunk);
  expect(0, zeros + zeros);
  tell(1, 0, 8192);
  expect(1, zeros.substr(0, 8192));
  bring_part(2, content, 0);
  tell(2, kChunk, 100);
  expect(2, content + zeros.substr(0, 100));
}

TEST_F(Assembly, leaves_nothing_of_a_file_that_is_gone) {
  std::string content = random_content(2 * kChunk);
  list({{"from_the_start", 100}, {"in_the_middle", 2 * kChunk}, {"first_chunk", 2 * kChunk}});
  files_->chunk_done(0, {0, 0, 0, true});
  bring(1, content, 0);
  EXPECT_TRUE(std::filesystem::exists(shown(1)));
  files_->chunk_done(1, {kChunk, 0, 0, true});
  files_->chunk_done(2, {0, 0, 0, true});
  bring(2, content, kChunk);
  for (std::uint32_t file : {0, 1, 2}) {
    EXPECT_TRUE(list_.files[file].is_gone) << file;
    EXPECT_FALSE(std::filesystem::exists(shown(file))) << file;
  }
  EXPECT_EQ(counters_.files_done, 0u);
  EXPECT_EQ(counters_.files_gone, 3u);
}

TEST_F(Assembly, gives_no_more_rights_than_the_donors_directory) {
  list({{"open", 1, 0666}, {"group", 1, 0640}});
  bring(0, "x", 0);
  target_.set_directory_mode(0750);
  bring(1, "x", 0);
  struct stat status;
  ASSERT_EQ(stat(shown(0).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_EQ(stat(shown(1).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(Assembly, knows_the_sha_of_each_file) {
  list({{"abc", 3}, {"empty", 0}, {"gone", 3}}, ManifestChecksums::kSha256);
  bring(0, "abc", 0);
  bring(1, "", 0);
  files_->chunk_done(2, {0, 0, 0, true});
  EXPECT_EQ(files_->sha2(0), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(files_->sha2(1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(files_->sha2(2), "");
}

TEST_F(Assembly, of_a_file_listed_twice_fails_and_keeps_the_first) {
  list({{"file", 1}, {"file", 1}});
  bring(0, "a", 0);
  EXPECT_THROW(bring(1, "b", 0), Failure);
  EXPECT_EQ(content_of(shown(0)), "a");
}

TEST_F(Assembly, takes_many_threads_on_many_files) {
  constexpr std::uint32_t kFiles = 6, kThreads = 4;
  std::vector<std::string> contents;
  std::vector<Listed> listed;
  for (std::uint32_t file = 0; file < kFiles; ++file) {
    contents.push_back(random_content(file * 700000 + file, file));
    listed.push_back({"f" + std::to_string(file), contents.back().size()});
  }
  list(listed);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> work;
  for (std::uint32_t file = 0; file < kFiles; ++file)
    for (std::uint64_t at = 0; at == 0 || at < contents[file].size(); at += kChunk)
      work.emplace_back(file, at);
  std::shuffle(work.begin(), work.end(), std::mt19937(1));
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (std::size_t at = thread; at < work.size(); at += kThreads)
        bring(work[at].first, contents[work[at].first], work[at].second);
    });
  for (auto& thread : threads) thread.join();
  for (std::uint32_t file = 0; file < kFiles; ++file) expect(file, contents[file]);
  EXPECT_EQ(counters_.files_done, kFiles);
}

}  // namespace
}  // namespace standby_clone
