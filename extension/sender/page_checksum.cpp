// page_checksum.cpp: PostgreSQL's own page checksum, compiled here a second time
// so that it can use the vector unit of the machine it runs on: the server's copy
// is built for the oldest machine of its distribution, and one clone checksums
// every page of the cluster.
#include "extension/sender/page_checksum.h"

#include "extension/pg/server.h"

#define pg_checksum_page clone_checksum_page
extern "C" {
static uint16 clone_checksum_page(char* page, BlockNumber blkno) __attribute__((unused));
#include "storage/checksum_impl.h"
}

namespace sender {
namespace {

bool is_zero(const char* page) { return page[0] == 0 && std::memcmp(page, page + 1, BLCKSZ - 1) == 0; }

// As long as a page is in our own buffer, pg_checksum_page may blank its checksum
// for a moment.
__attribute__((always_inline)) inline std::size_t search(char* pages, std::size_t begin,
                                                         std::size_t count,
                                                         std::uint32_t first_block) {
  for (std::size_t index = begin; index < count; ++index) {
    char* page = pages + index * BLCKSZ;
    if (PageIsNew(reinterpret_cast<Page>(page))) {
      if (is_zero(page)) continue;
      return index;
    }
    auto expected = reinterpret_cast<PageHeader>(page)->pd_checksum;
    if (clone_checksum_page(page, first_block + index) != expected) return index;
  }
  return count;
}

#if defined(__x86_64__)
__attribute__((target("avx2"), flatten)) std::size_t search_avx2(char* pages, std::size_t begin,
                                                                 std::size_t count,
                                                                 std::uint32_t first_block) {
  return search(pages, begin, count, first_block);
}
#endif

__attribute__((flatten)) std::size_t search_plain(char* pages, std::size_t begin,
                                                  std::size_t count, std::uint32_t first_block) {
  return search(pages, begin, count, first_block);
}

}  // namespace

std::size_t find_bad_page(char* pages, std::size_t begin, std::size_t count,
                          std::uint32_t first_block) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return search_avx2(pages, begin, count, first_block);
#endif
  return search_plain(pages, begin, count, first_block);
}

}  // namespace sender
