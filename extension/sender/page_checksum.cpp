// page_checksum.cpp: PostgreSQL's page checksum by the vector unit of the machine it runs on: the
// server's own is built for the oldest machine of its distribution, and one clone checksums every
// page of the cluster. Of the server's are what defines it: the sums' number and beginnings, the prime.
#include "extension/sender/page_checksum.h"

#include "extension/pg/server.h"

#define pg_checksum_page unused_checksum_page
extern "C" {
static uint16 unused_checksum_page(char* page, BlockNumber blkno) __attribute__((unused));
#include "storage/checksum_impl.h"
}

namespace sender {
namespace {

// A row of a page has a word for each sum.
constexpr std::size_t kRow = N_SUMS * sizeof(std::uint32_t);

bool is_zero(const char* page) { return page[0] == 0 && std::memcmp(page, page + 1, BLCKSZ - 1) == 0; }

// Registers of four words and of eight.
typedef std::uint32_t Lanes4 __attribute__((vector_size(16)));
typedef std::uint32_t Lanes8 __attribute__((vector_size(32)));

template <class Lanes>
__attribute__((always_inline)) inline std::uint16_t checksum_of(const char* page,
                                                                std::uint32_t block) {
  constexpr std::size_t kCount = kRow / sizeof(Lanes);
  Lanes sums[kCount];
  std::memcpy(sums, checksumBaseOffsets, kRow);
  // The checksum is of a page that has none.
  char head[kRow];
  std::memcpy(head, page, kRow);
  std::memset(head + offsetof(PageHeaderData, pd_checksum), 0, sizeof(PageHeaderData::pd_checksum));
  const char* row = head;
  for (std::size_t at = kRow; at <= BLCKSZ; row = page + at, at += kRow)
    for (std::size_t index = 0; index < kCount; ++index) {
      Lanes mixed;
      std::memcpy(&mixed, row + index * sizeof(Lanes), sizeof(Lanes));
      mixed ^= sums[index];
      sums[index] = (mixed * FNV_PRIME) ^ (mixed >> 17);
    }
  std::uint32_t result = 0;
  for (Lanes& sum : sums) {
    for (int round = 0; round < 2; ++round) sum = (sum * FNV_PRIME) ^ (sum >> 17);
    for (std::size_t lane = 0; lane < sizeof(Lanes) / sizeof(std::uint32_t); ++lane) result ^= sum[lane];
  }
  return static_cast<std::uint16_t>((result ^ block) % 65535 + 1);
}

template <class Lanes>
__attribute__((always_inline)) inline std::size_t search(const char* pages, std::size_t begin,
                                                         std::size_t count,
                                                         std::uint32_t first_block) {
  for (std::size_t index = begin; index < count; ++index) {
    const char* page = pages + index * BLCKSZ;
    PageHeaderData header;
    std::memcpy(&header, page, SizeOfPageHeaderData);
    bool is_right = header.pd_upper == 0
                        ? is_zero(page)
                        : checksum_of<Lanes>(page, first_block + index) == header.pd_checksum;
    if (!is_right) return index;
  }
  return count;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::size_t search_avx2(const char* pages, std::size_t begin,
                                                        std::size_t count,
                                                        std::uint32_t first_block) {
  return search<Lanes8>(pages, begin, count, first_block);
}
#endif

}  // namespace

std::size_t find_bad_page(const char* pages, std::size_t begin, std::size_t count,
                          std::uint32_t first_block) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return search_avx2(pages, begin, count, first_block);
#endif
  // Wide enough for every other machine: SSE2, NEON.
  return search<Lanes4>(pages, begin, count, first_block);
}

}  // namespace sender
