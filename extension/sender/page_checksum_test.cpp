// page_checksum_test.cpp: the vectors against the server's own loop.
#include "extension/sender/page_checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "extension/pg/server.h"

extern "C" {
#include <storage/checksum_impl.h>
}

namespace sender {
namespace {

// Pages of random bytes with the checksums that the server gives them.
struct Pages {
  std::vector<char> bytes;

  Pages(std::size_t count, std::uint32_t first_block) : bytes(count * BLCKSZ) {
    std::mt19937 random(7);
    for (char& byte : bytes) byte = static_cast<char>(random());
    for (std::size_t index = 0; index < count; ++index) {
      header(index)->pd_upper = BLCKSZ;
      header(index)->pd_checksum = pg_checksum_page(at(index), first_block + index);
    }
  }
  char* at(std::size_t index) { return bytes.data() + index * BLCKSZ; }
  PageHeader header(std::size_t index) { return reinterpret_cast<PageHeader>(at(index)); }
};

TEST(PageChecksum, agrees_with_the_server) {
  for (std::uint32_t first_block : {0u, 131072u, 0xFFFFFFF0u}) {
    Pages pages(16, first_block);
    EXPECT_EQ(find_bad_page(pages.bytes.data(), 0, 16, first_block), 16u);
    // At another place each page is wrong.
    for (std::size_t index = 0; index < 16; ++index)
      EXPECT_EQ(find_bad_page(pages.bytes.data(), index, 16, first_block + 1), index);
  }
}

TEST(PageChecksum, finds_a_bit_anywhere) {
  for (std::size_t byte : {0, 7, 8, 9, 10, 23, 127, 128, 4095, 4096, 8064, BLCKSZ - 1}) {
    Pages pages(3, 5);
    pages.at(1)[byte] ^= 0x10;
    EXPECT_EQ(find_bad_page(pages.bytes.data(), 0, 3, 5), 1u) << byte;
    EXPECT_EQ(find_bad_page(pages.bytes.data(), 2, 3, 5), 3u) << byte;
  }
}

TEST(PageChecksum, new_pages_are_all_zero) {
  Pages pages(2, 0);
  std::fill_n(pages.at(0), BLCKSZ, '\0');
  EXPECT_EQ(find_bad_page(pages.bytes.data(), 0, 2, 0), 2u);
  pages.at(0)[BLCKSZ - 1] = 1;
  EXPECT_EQ(find_bad_page(pages.bytes.data(), 0, 2, 0), 0u);
  pages.header(1)->pd_upper = 0;
  EXPECT_EQ(find_bad_page(pages.bytes.data(), 1, 2, 0), 1u);
}

}  // namespace
}  // namespace sender
