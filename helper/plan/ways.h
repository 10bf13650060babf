// ways.h: how each file that is here becomes what the donor has. Decided before the streams start, and before
// anything is written: what is beyond the end that a file had then is not here, whatever its length is by now.
#pragma once

#include <cstdint>
#include <initializer_list>
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

// Blocks of one file, numbered within it: a bit for each up to the last one that is named, so that all sets of a
// clone take no more than 1/65536 of its size, however many blocks they name and wherever these lie.
class BlockSet {
 public:
  BlockSet() = default;
  BlockSet(std::initializer_list<BlockRange> ranges) {
    for (const BlockRange& range : ranges) add(range.first, range.count);
  }

  void add(std::uint32_t first, std::uint32_t count);
  // The first blocks next to each other that are named, of those in [from, until); a count of 0: none.
  BlockRange next(std::uint64_t from, std::uint64_t until) const;
  bool has(std::uint32_t block) const { return next(block, std::uint64_t{block} + 1).count > 0; }
  // Calls what(range) of all in [from, until), in ascending order, apart from each other.
  template <class What>
  void for_each(std::uint64_t from, std::uint64_t until, What what) const {
    for (BlockRange range; (range = next(from, until)).count > 0; from = std::uint64_t{range.first} + range.count)
      what(range);
  }
  bool operator==(const BlockSet&) const = default;

 private:
  std::uint64_t find(std::uint64_t from, std::uint64_t until, bool is_named) const;

  std::vector<std::uint64_t> bits_;  // the last is not 0
};

struct FileWay {
  Way way = Way::kCompare;
  std::uint64_t here = 0;  // bytes of it, in whole blocks
  BlockSet blocks;         // kListed
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
std::vector<PageRange> pages_to_fetch(const BlockSet& blocks, std::uint64_t here,
                                      std::uint32_t block_size, std::uint64_t offset, std::uint32_t length);

}  // namespace standby_clone
