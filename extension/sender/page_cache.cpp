// page_cache.cpp: cachestat() where the kernel has it (6.5), since one cheap call answers for
// a range that is there as a whole or not at all; mincore() for the rest.
#include "extension/sender/page_cache.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sender {
namespace {

std::uint32_t page_size() {
  static const auto size = static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::uint32_t pages_in(std::uint32_t length) { return (length + page_size() - 1) / page_size(); }

// As in <linux/mman.h> from Linux 6.5 on.
struct CacheRange {
  std::uint64_t offset, length;
};
struct CacheCounts {
  std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
};
constexpr long kCachestat = 451;  // on every architecture

// How many pages of the range are there; -1 if the kernel does not say.
std::int64_t count_pages(int descriptor, std::uint64_t offset, std::uint32_t length) {
  static bool is_missing = false;
  if (is_missing) return -1;
  CacheRange range{offset, length};
  CacheCounts counts{};
  if (syscall(kCachestat, descriptor, &range, &counts, 0) == 0)
    return static_cast<std::int64_t>(counts.cached);
  is_missing = true;
  return -1;
}

// Which pages are there. Where nothing can be learned all are taken to be: then nothing is
// given back that others may need.
void look(int descriptor, Residency& range) {
  range.is_all_there = true;
  std::uint32_t count = pages_in(range.length);
  std::int64_t cached = count_pages(descriptor, range.offset, range.length);
  if (cached >= count) return;
  if (cached == 0) {
    range.is_all_there = false;
    std::memset(range.pages, 0, count);
    return;
  }
  void* map = mmap(nullptr, range.length, PROT_READ, MAP_SHARED, descriptor,
                   static_cast<off_t>(range.offset));
  if (map == MAP_FAILED) return;
  if (mincore(map, range.length, range.pages) == 0)
    range.is_all_there = std::all_of(range.pages, range.pages + count,
                                     [](unsigned char page) { return (page & 1) != 0; });
  munmap(map, range.length);
}

// Calls `use` for each run of pages that were not there.
template <class Use>
void for_missing(const Residency& range, Use use) {
  std::uint32_t count = pages_in(range.length);
  for (std::uint32_t begin = 0; begin < count;) {
    std::uint32_t end = begin + 1;
    while (end < count && (range.pages[end] & 1) == (range.pages[begin] & 1)) ++end;
    if ((range.pages[begin] & 1) == 0)
      use(static_cast<off_t>(range.offset) + static_cast<off_t>(begin) * page_size(),
          static_cast<off_t>(end - begin) * page_size());
    begin = end;
  }
}

void look_and_fetch(PageCache& cache, Residency& range, std::uint64_t offset,
                    std::uint32_t length) {
  range.offset = offset;
  range.length = offset % page_size() == 0 ? std::min(length, protocol::kChunkSize) : 0;
  range.is_all_there = true;
  if (range.length == 0) return;
  look(cache.descriptor, range);
  if (range.is_all_there) return;
  if (!cache.reads_ahead_itself)
    posix_fadvise(cache.descriptor, 0, 0, POSIX_FADV_RANDOM);
  cache.reads_ahead_itself = true;
  for_missing(range, [&](off_t at, off_t size) {
    posix_fadvise(cache.descriptor, at, size, POSIX_FADV_WILLNEED);
  });
}

void give_back(const PageCache& cache, Residency& range) {
  if (range.length > 0 && !range.is_all_there)
    for_missing(range, [&](off_t at, off_t size) {
      posix_fadvise(cache.descriptor, at, size, POSIX_FADV_DONTNEED);
    });
  range.length = 0;
}

}  // namespace

void watch_file(PageCache& cache, int descriptor) {
  if (cache.descriptor >= 0) {
    // Announced, and then not asked for here.
    give_back(cache, cache.ahead);
  }
  cache.now.length = cache.ahead.length = 0;
  cache.reads_ahead_itself = false;
  cache.descriptor = descriptor;
}

void begin_range(PageCache& cache, std::uint64_t offset, std::uint32_t length) {
  if (cache.ahead.length > 0 && cache.ahead.offset == offset && cache.ahead.length == length) {
    cache.now = cache.ahead;
    cache.ahead.length = 0;
  } else {
    look_and_fetch(cache, cache.now, offset, length);
  }
}

void announce_range(PageCache& cache, std::uint64_t offset, std::uint32_t length) {
  if (cache.ahead.length > 0) return;
  look_and_fetch(cache, cache.ahead, offset, length);
}

void end_range(PageCache& cache) { give_back(cache, cache.now); }

}  // namespace sender
