// output_file_test.cpp: what is written is what is read, by every way there is to the
// disk; a disk that refuses says so with the right kind of failure.
#include "helper/disk/output_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <random>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <thread>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/disk/aligned_buffer.h"
#include "helper/disk/scratch_directory.h"
#include "protocol/limits.h"

namespace standby_clone {
namespace {

constexpr std::uint64_t kChunk = protocol::kChunkSize;

Tree tree_of(const ScratchDirectory& scratch) {
  Tree tree(real_disk(), true);
  tree.add_root("", scratch.path());
  return tree;
}

class OutputFileOnDisk : public testing::Test {
 protected:
  std::unique_ptr<OutputFile> make(std::uint64_t size, const std::string& name = "file") {
    return std::make_unique<OutputFile>(tree_, name, size);
  }
  std::string shown(const std::string& name) const { return scratch_ / name; }

  ScratchDirectory scratch_;
  Tree tree_ = tree_of(scratch_);
};

std::string random_content(std::size_t size, std::uint64_t seed = 5) {
  std::mt19937_64 random(seed);
  std::string content(size, '\0');
  for (auto& letter : content) letter = static_cast<char>(random() | 1);
  return content;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// As a stream does: each chunk from an aligned buffer, the last one first.
void write_backwards(OutputFile& file, const std::string& content) {
  AlignedBuffer buffer(kChunk);
  for (std::size_t chunk = (content.size() + kChunk - 1) / kChunk; chunk-- > 0;) {
    std::size_t at = chunk * kChunk, size = std::min<std::size_t>(kChunk, content.size() - at);
    std::memcpy(buffer.data(), content.data() + at, size);
    file.write(at, {buffer.data(), size});
  }
}

// Flags of the process's open descriptors of this file.
std::vector<long> flags_of_descriptors(const std::string& path) {
  std::vector<long> flags;
  for (const auto& name : names_in("/proc/self/fd")) {
    char target[4096];
    ssize_t size = readlink(("/proc/self/fd/" + name).c_str(), target, sizeof(target));
    if (size < 0 || std::string_view(target, static_cast<std::size_t>(size)) != path) continue;
    flags.push_back(fcntl(std::stoi(name), F_GETFL));
  }
  return flags;
}

Kind kind_thrown_by(const std::function<void()>& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const Failure& failure) {
    if (message != nullptr) *message = failure.message + " | " + failure.hint;
    return failure.kind;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Kind::kInternal;
}

// A file may not grow beyond `bytes` while this lives: the nearest to a full disk that
// needs no rights.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  sighandler_t handler_;
  rlimit before_;
};

TEST_F(OutputFileOnDisk, holds_every_length_and_odd_tails) {
  for (std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4095},
                             std::uint64_t{4096}, std::uint64_t{4097}, kChunk - 1, kChunk,
                             kChunk + 1, kChunk + 4096, 3 * kChunk + 8192 + 13}) {
    std::string content = random_content(size);
    std::string name = "file" + std::to_string(size);
    auto file = make(size, name);
    write_backwards(*file, content);
    file->finish(size, 0600);
    EXPECT_TRUE(content_of(shown(name)) == content) << size;
  }
}

TEST_F(OutputFileOnDisk, holds_what_stands_on_no_boundary) {
  std::string content = random_content(2 * kChunk + 777);
  auto file = make(content.size());
  std::mt19937 random(3);
  for (std::size_t at = 0; at < content.size();) {
    std::size_t size = std::min<std::size_t>(1 + random() % 300000, content.size() - at);
    file->write(at, bytes_of(content).subspan(at, size));
    at += size;
  }
  file->finish(content.size(), 0600);
  EXPECT_TRUE(content_of(shown("file")) == content);
}

// The two descriptors of one file: what went past the page cache and what went
// through it must not hide each other.
TEST_F(OutputFileOnDisk, mixes_direct_and_buffered_writes_of_one_page) {
  std::string content = random_content(kChunk + 5000);
  auto file = make(content.size());
  file->write(kChunk, bytes_of(content).subspan(kChunk, 100));
  AlignedBuffer buffer(kChunk);
  std::memcpy(buffer.data(), content.data(), kChunk);
  file->write(0, {buffer.data(), kChunk});
  file->write(kChunk + 100, bytes_of(content).subspan(kChunk + 100));
  std::memcpy(buffer.data(), content.data() + 8192, 4096);
  file->write(8192, {buffer.data(), 4096});
  file->finish(content.size(), 0600);
  EXPECT_TRUE(content_of(shown("file")) == content);
}

TEST_F(OutputFileOnDisk, only_large_files_go_past_the_page_cache) {
  int probe = open(shown("probe").c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (probe < 0) GTEST_SKIP() << "this file system has no O_DIRECT";
  close(probe);
  auto count_direct = [](const std::vector<long>& flags) {
    return std::count_if(flags.begin(), flags.end(),
                         [](long each) { return (each & O_DIRECT) != 0; });
  };
  auto large = make(kChunk, "large");
  EXPECT_EQ(count_direct(flags_of_descriptors(shown("large"))), 1);
  EXPECT_EQ(flags_of_descriptors(shown("large")).size(), 2u);
  auto small = make(kChunk - 1, "small");
  EXPECT_EQ(count_direct(flags_of_descriptors(shown("small"))), 0);
  EXPECT_EQ(flags_of_descriptors(shown("small")).size(), 1u);
  large.reset();
  EXPECT_TRUE(flags_of_descriptors(shown("large")).empty());
}

TEST_F(OutputFileOnDisk, is_cut_to_the_length_that_came) {
  for (std::uint64_t announced : {std::uint64_t{100000}, 3 * kChunk})
    for (std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{12345}}) {
      std::string name = std::to_string(announced) + "-" + std::to_string(length);
      std::string content = random_content(length);
      auto file = make(announced, name);
      write_backwards(*file, content);
      file->finish(length, 0600);
      EXPECT_TRUE(content_of(shown(name)) == content) << name;
    }
}

TEST_F(OutputFileOnDisk, may_become_longer_than_announced) {
  std::string content = random_content(kChunk + 4096 + 7);
  for (std::uint64_t announced : {std::uint64_t{0}, std::uint64_t{8192}, kChunk}) {
    std::string name = std::to_string(announced);
    auto file = make(announced, name);
    write_backwards(*file, content);
    file->finish(content.size(), 0600);
    EXPECT_TRUE(content_of(shown(name)) == content) << name;
  }
}

TEST_F(OutputFileOnDisk, reads_as_zeros_where_nothing_was_written) {
  for (std::uint64_t size : {std::uint64_t{300000}, 4 * kChunk}) {
    std::string name = std::to_string(size);
    std::string content(size, '\0');
    content.replace(size / 2, 10, "0123456789");
    auto file = make(size, name);
    file->write(size / 2, bytes_of("0123456789"));
    file->finish(size, 0600);
    EXPECT_TRUE(content_of(shown(name)) == content) << name;
  }
}

TEST_F(OutputFileOnDisk, of_a_small_file_takes_no_room_for_zeros) {
  auto file = make(kChunk - 1);
  file->finish(kChunk - 1, 0600);
  struct stat status;
  ASSERT_EQ(stat(shown("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(kChunk - 1));
  EXPECT_LE(status.st_blocks * 512, 8192);
}

TEST_F(OutputFileOnDisk, gives_the_mode_at_the_end_only) {
  auto file = make(1);
  struct stat status;
  stat(shown("file").c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  file->finish(0, 0640);
  stat(shown("file").c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(OutputFileOnDisk, takes_many_threads_at_once) {
  std::string content = random_content(8 * kChunk + 99);
  auto file = make(content.size());
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      AlignedBuffer buffer(kChunk);
      for (std::size_t at = thread * kChunk; at < content.size(); at += 4 * kChunk) {
        std::size_t size = std::min<std::size_t>(kChunk, content.size() - at);
        std::memcpy(buffer.data(), content.data() + at, size);
        file->write(at, {buffer.data(), size});
      }
    });
  for (auto& thread : threads) thread.join();
  file->finish(content.size(), 0600);
  EXPECT_TRUE(content_of(shown("file")) == content);
}

TEST_F(OutputFileOnDisk, never_writes_over_what_is_there) {
  put_file(shown("file"), "foreign");
  std::string message;
  EXPECT_EQ(kind_thrown_by([&] { make(100); }, &message), Kind::kDisk);
  EXPECT_NE(message.find(shown("file")), std::string::npos) << message;
  EXPECT_EQ(content_of(shown("file")), "foreign");
  // Nor through a link, to an old file or a new one.
  std::filesystem::create_symlink(shown("file"), shown("link"));
  std::filesystem::create_symlink(shown("new"), shown("dangling"));
  EXPECT_THROW(make(100, "link"), Failure);
  EXPECT_THROW(make(100, "dangling"), Failure);
  EXPECT_EQ(content_of(shown("file")), "foreign");
  EXPECT_FALSE(std::filesystem::exists(shown("new")));
}

TEST_F(OutputFileOnDisk, without_the_directory_names_the_file) {
  std::string message;
  EXPECT_EQ(kind_thrown_by([&] { make(1, "missing/file"); }, &message), Kind::kDisk);
  EXPECT_NE(message.find("missing/file"), std::string::npos) << message;
}

TEST_F(OutputFileOnDisk, that_takes_no_more_fails_in_the_middle_of_a_small_file) {
  auto file = make(200000);
  std::string content = random_content(200000), message;
  SizeLimit limit(65536);
  EXPECT_EQ(kind_thrown_by([&] { file->write(0, bytes_of(content)); }, &message), Kind::kDisk);
  EXPECT_NE(message.find(shown("file")), std::string::npos) << message;
  EXPECT_NE(message.find("write"), std::string::npos) << message;
}

TEST_F(OutputFileOnDisk, that_takes_no_more_fails_past_the_page_cache_too) {
  auto file = make(kChunk);
  AlignedBuffer buffer(kChunk);
  std::memset(buffer.data(), 1, kChunk);
  SizeLimit limit(kChunk + 65536);
  EXPECT_EQ(kind_thrown_by([&] { file->write(kChunk, {buffer.data(), kChunk}); }), Kind::kDisk);
}

// A disk that answers as it is told.
class ToldDisk : public Disk {
 public:
  int allocate_error = 0, write_error = 0, direct_error = 0;
  int allocations = 0;

  int open(int directory, const char* path, int flags, mode_t mode) override {
    return failed((flags & O_DIRECT) != 0 ? direct_error : 0)
               ? -1
               : Disk::open(directory, path, flags, mode);
  }
  int allocate(int file, off_t length) override {
    ++allocations;
    return failed(allocate_error) ? -1 : Disk::allocate(file, length);
  }
  ssize_t write(int file, std::span<const std::byte> bytes, off_t at) override {
    return failed(write_error) ? -1 : Disk::write(file, bytes, at);
  }

 private:
  static bool failed(int error) {
    if (error != 0) errno = error;
    return error != 0;
  }
};

TEST(Offers, that_are_refused_end_no_file) {
  ScratchDirectory scratch;
  ToldDisk disk;
  Tree tree(disk, true);
  tree.add_root("", scratch.path());
  std::string content = random_content(2 * kChunk + 8192);
  for (int error : {ENOSPC, EDQUOT, EINTR, EINVAL, ENOSYS, EOPNOTSUPP}) {
    disk.allocate_error = disk.direct_error = error;
    OutputFile file(tree, "file" + std::to_string(error), content.size());
    write_backwards(file, content);
    file.finish(content.size(), 0600);
    EXPECT_TRUE(content_of(scratch / file.path()) == content) << error;
  }
}

// All that there are room for is one cause, told by whoever meets it.
TEST(FullDisk, is_what_a_write_says_to_each_that_comes) {
  ScratchDirectory scratch;
  ToldDisk disk;
  Tree tree(disk, true);
  tree.add_root("", scratch.path());
  disk.allocate_error = disk.write_error = ENOSPC;
  OutputFile file(tree, "file", kChunk);
  for (int stream = 0; stream < 2; ++stream) {
    std::string message;
    EXPECT_EQ(kind_thrown_by([&] { file.write(0, bytes_of("x")); }, &message), Kind::kDisk);
    EXPECT_NE(message.find(std::strerror(ENOSPC)), std::string::npos) << message;
    EXPECT_NE(message.find("Make room"), std::string::npos) << message;
  }
}

TEST(Offers, are_not_asked_for_again_where_the_room_is_there) {
  ScratchDirectory scratch;
  ToldDisk disk;
  Tree tree(disk, true);
  tree.add_root("", scratch.path());
  std::string content = random_content(2 * kChunk);
  {
    OutputFile file(tree, "file", content.size());
    write_backwards(file, content);
  }
  int before = disk.allocations;
  OutputFile again(tree, "file", content.size(), OutputFile::Existing::kKeep);
  EXPECT_EQ(disk.allocations, before);
  EXPECT_FALSE(again.is_new());
}

TEST(FailOnDisk, tells_room_and_rights_and_trouble_apart) {
  auto kind_of = [](int error, std::string* message) {
    return kind_thrown_by([&] { fail_on_disk("write file", "/data/x", error); }, message);
  };
  std::string message;
  for (int error : {ENOSPC, EDQUOT}) {
    EXPECT_EQ(kind_of(error, &message), Kind::kDisk);
    EXPECT_NE(message.find("Make room"), std::string::npos) << message;
  }
  for (int error : {EACCES, EPERM, EROFS}) {
    EXPECT_EQ(kind_of(error, &message), Kind::kTargetRefused);
    EXPECT_NE(message.find("writable"), std::string::npos) << message;
  }
  EXPECT_EQ(kind_of(EIO, &message), Kind::kDisk);
  EXPECT_TRUE(message.starts_with("could not write file \"/data/x\": ")) << message;
}

}  // namespace
}  // namespace standby_clone
