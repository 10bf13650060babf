// output_file.h: one file being written, by one or many streams.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "helper/disk/tree.h"

namespace standby_clone {

class OutputFile {
 public:
  enum class Existing { kRefuse, kKeep };

  // Makes the file with mode 0600, with room for `size` bytes; or opens the one that is there, if
  // that is said. Never through a link. Failures are kDisk or kTargetRefused and name the file.
  OutputFile(const Tree& tree, std::string path, std::uint64_t size,
             Existing existing = Existing::kRefuse);

  // False if it was there before: then what nobody writes is what it was, not zeros.
  bool is_new() const { return is_new_; }

  // Writes at `offset`. Threads may write disjoint ranges at once. Large files go past the
  // page cache where address, offset and size are multiples of kDirectAlignment; the rest, single
  // pages, and file systems that cannot, through it.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  void write_zeros(std::uint64_t offset, std::uint64_t length);

  // One thread, after all writes: cuts the file to `length`, gives it its mode, starts its
  // way to the disk. Nothing is durable before Target::sync_all().
  void finish(std::uint64_t length, unsigned mode);

  const std::string& path() const { return path_; }

 private:
  const Tree& tree_;
  std::string path_;
  std::uint64_t size_;
  UniqueFd buffered_;
  bool is_new_ = true;
  UniqueFd direct_;  // not open where O_DIRECT does not help or work
  std::atomic<bool> direct_works_{false};
};

}  // namespace standby_clone
