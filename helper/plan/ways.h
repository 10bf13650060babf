// ways.h: how each file that is here becomes what the donor has. Decided before the streams start, and before
// anything is written: what is beyond the end that a file had then is not here, whatever its length is by now.
#pragma once

#include <cstdint>
#include <vector>

#include "helper/plan/plan.h"

namespace standby_clone {

enum class Way : std::uint8_t {
  kCompare,  // by hashes
  kListed,   // the blocks that are listed come
  kNewer,    // the pages come that the donor finds written since
};

struct BlockRange {
  std::uint32_t first = 0, count = 0;
  bool operator==(const BlockRange&) const = default;
};

struct FileWay {
  Way way = Way::kCompare;
  std::uint64_t here = 0;          // bytes of it, in whole blocks
  std::vector<BlockRange> blocks;  // kListed: of this file, in ascending order, apart from each other
};

// No file named: all are compared.
struct Ways {
  std::vector<FileWay> files;  // by index in FileList::files
  std::uint32_t block_size = 8192;
  protocol::Lsn since = 0;     // kNewer

  const FileWay& of(std::uint32_t file) const {
    static const FileWay compared;
    return file < files.size() ? files[file] : compared;
  }
};

// What of the chunk [offset, offset + length) of a file has to come: pages of these blocks, and what is not here.
std::vector<PageRange> pages_to_fetch(const std::vector<BlockRange>& blocks, std::uint64_t here,
                                      std::uint32_t block_size, std::uint64_t offset, std::uint32_t length);

// In ascending order, those that touch joined.
void put_in_order(std::vector<BlockRange>& blocks);

}  // namespace standby_clone
