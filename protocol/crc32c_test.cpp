// crc32c_test.cpp: known values, and every way of splitting gives the same.
#include "protocol/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace protocol {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::vector<std::byte> random_bytes(std::size_t size) {
  std::mt19937 random(42);
  std::vector<std::byte> made(size);
  for (auto& byte : made) byte = static_cast<std::byte>(random());
  return made;
}

std::uint32_t bit_by_bit(std::span<const std::byte> data) {
  std::uint32_t state = ~0u;
  for (auto byte : data) {
    state ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) ? 0x82F63B78 : 0);
  }
  return ~state;
}

TEST(Crc32c, known_values_of_rfc_3720) {
  EXPECT_EQ(crc32c(bytes("123456789")), 0xE3069283u);
  std::vector<std::byte> zeros(32), ones(32, std::byte{0xFF});
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
  EXPECT_EQ(crc32c(ones), 0x62A8AB43u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, agrees_with_the_definition_at_every_size_near_a_round) {
  auto data = random_bytes(8000);
  for (std::size_t size : {1, 7, 8, 9, 1023, 1024, 3071, 3072, 3073, 3080, 6143, 6144, 6145, 8000})
    EXPECT_EQ(crc32c(std::span(data).first(size)), bit_by_bit(std::span(data).first(size))) << size;
}

TEST(Crc32c, tables_agree_with_the_instruction) {
  auto data = random_bytes(4099);
  for (std::size_t begin : {0, 1, 3, 8})
    for (std::size_t size : {0, 1, 7, 8, 9, 63, 64, 4091}) {
      auto piece = std::span(data).subspan(begin, size);
      const auto* at = reinterpret_cast<const unsigned char*>(piece.data());
      EXPECT_EQ(~crc32c_detail::by_tables(at, size, ~0u), bit_by_bit(piece)) << begin << ' ' << size;
      EXPECT_EQ(crc32c_detail::extend(at, size, 12345), crc32c_detail::by_tables(at, size, 12345));
    }
}

TEST(Crc32c, continues_and_combines) {
  auto data = random_bytes(100000);
  auto whole = crc32c(data);
  for (std::size_t split : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{99999},
                            std::size_t{100000}}) {
    auto head = std::span(data).first(split), tail = std::span(data).subspan(split);
    EXPECT_EQ(crc32c(tail, crc32c(head)), whole) << split;
    EXPECT_EQ(crc32c_combine(crc32c(head), crc32c(tail), tail.size()), whole) << split;
  }
}

TEST(Crc32c, zeros_need_not_be_read) {
  auto data = random_bytes(5000);
  auto head = crc32c(data);
  data.resize(5000 + 70000);
  EXPECT_EQ(crc32c_add_zeros(head, 70000), crc32c(data));
  EXPECT_EQ(crc32c_add_zeros(0, 70000), crc32c(std::vector<std::byte>(70000)));
  EXPECT_EQ(crc32c_add_zeros(head, 0), head);
  // Sizes beyond the order of x: 2^31 - 1 bits is 268435455.875 bytes.
  std::uint64_t large = std::uint64_t{5} << 30;
  EXPECT_EQ(crc32c_add_zeros(crc32c_add_zeros(head, large / 2), large / 2),
            crc32c_add_zeros(head, large));
}

TEST(Crc32c, copies_what_it_checks) {
  auto data = random_bytes(262144 + 5);
  std::vector<std::byte> copy(data.size());
  EXPECT_EQ(copy_with_crc32c(copy.data(), data), crc32c(data));
  EXPECT_EQ(copy, data);
}

}  // namespace
}  // namespace protocol
