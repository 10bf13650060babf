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

UniqueFd open_existing(const Tree& tree, const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_NONBLOCK;
  UniqueFd file = tree.open(path, kFlags);
  // Ours, and to be written: a file that its owner may not write is made so.
  if (!file && errno == EACCES) {
    tree.set_mode(path, 0600);
    file = tree.open(path, kFlags);
  }
  return file;
}

}  // namespace

OutputFile::OutputFile(const Tree& tree, std::string path, std::uint64_t size, Existing existing)
    : tree_(tree), path_(std::move(path)), size_(size) {
  buffered_ = tree.open(path_, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!buffered_ && errno == EEXIST && existing == Existing::kKeep) {
    is_new_ = false;
    buffered_ = open_existing(tree, path_);
  }
  if (!buffered_) fail_on_disk("create file", tree_.shown(path_), errno);
  if (size_ < kDirectMin) return;
  tree.reserve(buffered_.get(), size_);
  if (!compresses(buffered_.get())) direct_ = tree.open(path_, O_WRONLY | O_DIRECT);
  direct_works_ = static_cast<bool>(direct_);
}

void OutputFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kDirectAlignment == 0 &&
                    offset % kDirectAlignment == 0;
  std::size_t whole = bytes.size() - bytes.size() % kDirectAlignment;
  if (is_aligned && whole >= kDirectWriteMin && direct_works_.load(std::memory_order_relaxed)) {
    ssize_t wrote = tree_.disk().write(direct_.get(), bytes.first(whole), static_cast<off_t>(offset));
    if (wrote > 0) {
      offset += static_cast<std::uint64_t>(wrote);
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    } else if (wrote < 0 && errno != EINTR) {
      // Of another alignment, or not at all; if it is the disk, what follows will tell.
      direct_works_ = false;
    }
  }
  tree_.write(buffered_.get(), bytes, offset, path_);
}

void OutputFile::write_zeros(std::uint64_t offset, std::uint64_t length) {
  static const std::byte zeros[64 * 1024] = {};
  while (length > 0) {
    std::size_t size = std::min<std::uint64_t>(length, sizeof(zeros));
    tree_.write(buffered_.get(), {zeros, size}, offset, path_);
    offset += size;
    length -= size;
  }
}

void OutputFile::finish(std::uint64_t length, unsigned mode) {
  struct stat status;
  if (fstat(buffered_.get(), &status) != 0) fail_on_disk("stat file", tree_.shown(path_), errno);
  if (static_cast<std::uint64_t>(status.st_size) != length &&
      tree_.disk().truncate(buffered_.get(), static_cast<off_t>(length)) != 0)
    fail_on_disk("truncate file", tree_.shown(path_), errno);
  if ((status.st_mode & 07777) != mode && tree_.disk().set_mode(buffered_.get(), mode) != 0)
    fail_on_disk("set the mode of file", tree_.shown(path_), errno);
  // What went through the cache starts its way now, so that the final sync finds little to
  // do. A hint: its failure says nothing, the sync's does.
  if (length >= protocol::kFramePlainMax)
    sync_file_range(buffered_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

}  // namespace standby_clone
