#include "extension/sender/relation_map.h"

#include <gtest/gtest.h>
#include <string>

namespace {

// As relmapper.c lays it out: 512 bytes with padding up to PostgreSQL 15, 524 without after.
std::string make_map(std::size_t size, std::size_t mappings) {
  std::string map(size, '\0');
  for (std::size_t at = 0; at < 8 + mappings * 8; ++at) map[at] = static_cast<char>(at * 7 + 1);
  std::size_t covered = 8 + mappings * 8;
  std::uint32_t crc = protocol::crc32c(std::as_bytes(std::span(map.data(), covered)));
  std::memcpy(map.data() + covered, &crc, sizeof(crc));
  return map;
}

TEST(RelationMap, of_each_version_is_recognised) {
  for (auto [size, mappings] : {std::pair{512, 62}, std::pair{524, 64}}) {
    std::string map = make_map(size, mappings);
    EXPECT_TRUE(sender::is_whole_relation_map(map.data(), map.size())) << size;
  }
}

TEST(RelationMap, half_written_is_not_whole) {
  std::string before = make_map(512, 62), after = make_map(512, 62);
  after[20] ^= 1;
  std::uint32_t crc = protocol::crc32c(std::as_bytes(std::span(after.data(), 504)));
  std::memcpy(after.data() + 504, &crc, sizeof(crc));
  ASSERT_TRUE(sender::is_whole_relation_map(after.data(), 512));
  std::string torn = after.substr(0, 256) + before.substr(256);
  EXPECT_FALSE(sender::is_whole_relation_map(torn.data(), torn.size()));
}

TEST(RelationMap, cut_short_is_not_whole) {
  std::string map = make_map(524, 64);
  for (std::size_t size : {0, 4, 11, 100, 512, 523})
    EXPECT_FALSE(sender::is_whole_relation_map(map.data(), size)) << size;
}

}  // namespace
