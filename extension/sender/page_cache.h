// page_cache.h: reading without leaving traces: what was in the server's page cache before
// a clone read it stays, what was not is given back, and the reading ahead is ours alone,
// so that it is known what came in by it.
#pragma once

#include <cstdint>

#include "protocol/limits.h"

namespace sender {

// What of a range of a file was in the page cache before it was read.
struct Residency {
  std::uint64_t offset;
  std::uint32_t length;      // 0: nothing is known
  bool is_all_there;
  unsigned char pages[protocol::kChunkSize / 4096];  // bit 0 of each: it was there
};

struct PageCache {
  int descriptor;     // the file it speaks of, -1: none
  bool reads_ahead_itself;  // the kernel has been told not to
  Residency now;      // the range that is read
  Residency ahead;    // the one asked for next, already on its way from the disk
};

// Another file is read now.
void watch_file(PageCache& cache, int descriptor);

// The range is read next: what is missing starts its way from the disk. Call it before
// reading.
void begin_range(PageCache& cache, std::uint64_t offset, std::uint32_t length);
// So is this one, after it. Does nothing the second time.
void announce_range(PageCache& cache, std::uint64_t offset, std::uint32_t length);
// The range has been read: what was not there goes again.
void end_range(PageCache& cache);

}  // namespace sender
