// output_file.cpp: past the page cache where that pays.
#include "helper/disk/output_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/disk/aligned_buffer.h"
#include "protocol/limits.h"

namespace standby_clone {
namespace {

// Below this a file goes through the page cache: one descriptor less, and many small
// writes are gathered.
constexpr std::uint64_t kDirectMin = protocol::kChunkSize;

// A page here and there costs a turn of the disk each when written directly; the system gathers
// them better.
constexpr std::size_t kDirectWriteMin = 64 * 1024;

UniqueFd open_existing(int directory, const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd file(openat(directory, path.c_str(), kFlags));
  // Ours, and to be written: a file that its owner may not write is made so.
  if (!file && errno == EACCES && fchmodat(directory, path.c_str(), 0600, 0) == 0)
    file.reset(openat(directory, path.c_str(), kFlags));
  return file;
}

}  // namespace

OutputFile::OutputFile(int directory, std::string path, std::string shown_path, std::uint64_t size,
                       Existing existing)
    : path_(std::move(path)), shown_path_(std::move(shown_path)), size_(size) {
  buffered_.reset(openat(directory, path_.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!buffered_ && errno == EEXIST && existing == Existing::kKeep) {
    is_new_ = false;
    buffered_ = open_existing(directory, path_);
  }
  if (!buffered_) fail_on_disk("create file", shown_path_, errno);
  if (size_ < kDirectMin) return;
  // fallocate(2) itself: posix_fallocate()'s fallback may overwrite what another stream wrote.
  if (fallocate(buffered_.get(), 0, 0, static_cast<off_t>(size_)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS)
    fail_on_disk("reserve space for file", shown_path_, errno);
  direct_.reset(openat(directory, path_.c_str(), O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC));
  if (!direct_ && errno != EINVAL) fail_on_disk("open file", shown_path_, errno);
  direct_works_ = static_cast<bool>(direct_);
}

void OutputFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kDirectAlignment == 0 &&
                    offset % kDirectAlignment == 0;
  std::size_t whole = bytes.size() - bytes.size() % kDirectAlignment;
  if (is_aligned && whole >= kDirectWriteMin && direct_works_.load(std::memory_order_relaxed)) {
    ssize_t wrote =
        pwrite(direct_.get(), bytes.data(), whole, static_cast<off_t>(offset));
    if (wrote > 0) {
      offset += static_cast<std::uint64_t>(wrote);
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    } else if (wrote < 0 && errno == EINVAL) {
      direct_works_ = false;  // this file system wants another alignment, or none
    } else if (wrote < 0 && errno != EINTR) {
      fail_on_disk("write file", shown_path_, errno);
    }
  }
  write_all(buffered_.get(), offset, bytes);
}

void OutputFile::write_zeros(std::uint64_t offset, std::uint64_t length) {
  static const std::byte zeros[64 * 1024] = {};
  while (length > 0) {
    std::size_t size = std::min<std::uint64_t>(length, sizeof(zeros));
    write_all(buffered_.get(), offset, {zeros, size});
    offset += size;
    length -= size;
  }
}

void OutputFile::write_all(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t wrote = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail_on_disk("write file", shown_path_, errno);
    if (wrote == 0) fail_on_disk("write file", shown_path_, ENOSPC);
    offset += static_cast<std::uint64_t>(wrote);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
}

void OutputFile::finish(std::uint64_t length, unsigned mode) {
  struct stat status;
  if (fstat(buffered_.get(), &status) != 0) fail_on_disk("stat file", shown_path_, errno);
  if (static_cast<std::uint64_t>(status.st_size) != length &&
      ftruncate(buffered_.get(), static_cast<off_t>(length)) != 0)
    fail_on_disk("truncate file", shown_path_, errno);
  if ((status.st_mode & 07777) != mode && fchmod(buffered_.get(), mode) != 0)
    fail_on_disk("set the mode of file", shown_path_, errno);
  // What went through the cache starts its way now, so that the final sync finds little to
  // do. A hint: its failure says nothing, the sync's does.
  if (length >= protocol::kFramePlainMax)
    sync_file_range(buffered_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

}  // namespace standby_clone
