// control_file_test.cpp: pg_control of each supported major, as its own server lays it out. Places are
// those of offsetof(ControlFileData, ...) with that server's headers.
#include "helper/disk/control_file.h"

#include <cstring>
#include <gtest/gtest.h>
#include <span>

#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

struct Places {
  std::uint32_t version;
  std::size_t next_transaction, oldest_active, max_align, block_size, slru_pages, wal_segment_size, float8_by_value, checksum_version, crc;
};

class ControlFileOf : public testing::TestWithParam<Places> {
 protected:
  template <class Number>
  void put(std::size_t at, Number value) {
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
  }
  void seal() {
    auto before = std::as_bytes(std::span(bytes_)).first(GetParam().crc);
    put(GetParam().crc, protocol::crc32c(before));
  }
  void SetUp() override {
    const Places& places = GetParam();
    put(0, std::uint64_t{7000000000000000001});
    put(8, places.version);
    put(12, 202307071u);
    put(16, 6u);  // in production
    put(32, std::uint64_t{0x3000060});
    put(40, std::uint64_t{0x3000028});
    put(48, 3u);
    put(places.next_transaction, std::uint64_t{0x300000100});
    put(places.oldest_active, 0xF0u);
    std::size_t minimum_recovery = places.max_align - 68;
    put(minimum_recovery, std::uint64_t{0x4000000});
    put(minimum_recovery + 8, 4u);
    put(minimum_recovery + 16, std::uint64_t{0x5000000});
    put(minimum_recovery + 24, std::uint64_t{0x6000000});
    put(minimum_recovery + 36, 1u);  // wal_level
    put(places.max_align, 8u);
    put(places.max_align + 4, 1234567.0);
    put(places.block_size, 8192u);
    put(places.block_size + 4, 131072u);
    if (places.slru_pages != 0) put(places.slru_pages, 64u);
    put(places.wal_segment_size - 4, 8192u);
    put(places.wal_segment_size, 16777216u);
    put(places.float8_by_value, std::uint8_t{1});
    put(places.checksum_version, 1u);
    seal();
  }
  std::string bytes_ = std::string(8192, '\0');
};

TEST_P(ControlFileOf, is_read) {
  auto file = ControlFile::parse(bytes_);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->system_identifier, 7000000000000000001u);
  EXPECT_EQ(file->catalog_version, 202307071u);
  EXPECT_EQ(file->state, ClusterState::kInProduction);
  EXPECT_EQ(file->checkpoint, 0x3000060u);
  EXPECT_EQ(file->redo, 0x3000028u);
  EXPECT_EQ(file->timeline, 3u);
  EXPECT_EQ(file->next_transaction, 0x300000100u);
  EXPECT_EQ(file->oldest_active_transaction, 0xF0u);
  EXPECT_EQ(file->minimum_recovery, 0x4000000u);
  EXPECT_EQ(file->minimum_recovery_timeline, 4u);
  EXPECT_EQ(file->backup_start, 0x5000000u);
  EXPECT_EQ(file->backup_end, 0x6000000u);
  EXPECT_FALSE(file->wal_level_is_minimal);
  EXPECT_EQ(file->max_align, 8u);
  EXPECT_EQ(file->float_format, 1234567.0);
  EXPECT_EQ(file->block_size, 8192u);
  EXPECT_EQ(file->segment_blocks, 131072u);
  EXPECT_EQ(file->slru_segment_pages, GetParam().slru_pages != 0 ? 64u : 32u);
  EXPECT_EQ(file->wal_block_size, 8192u);
  EXPECT_EQ(file->wal_segment_size, 16777216u);
  EXPECT_TRUE(file->float8_by_value);
  EXPECT_EQ(file->checksum_version, 1u);
}

TEST_P(ControlFileOf, the_oldest_transaction_may_be_of_the_epoch_before) {
  auto young = [&](std::uint64_t next, std::uint32_t oldest_active) {
    put(GetParam().next_transaction, next);
    put(GetParam().oldest_active, oldest_active);
    seal();
    return ControlFile::parse(bytes_)->first_young_transaction();
  };
  EXPECT_EQ(young(0x300000100, 0xF0), 0x3000000F0u);
  EXPECT_EQ(young(0x300000100, 0xFFFFFFF0), 0x2FFFFFFF0u);
  EXPECT_EQ(young(0x300000100, 0x100), 0x300000100u) << "none is active";
  EXPECT_EQ(young(0x300000100, 0), 0x300000100u) << "it shut down";
  EXPECT_EQ(young(1000, 990), 990u);
}

TEST_P(ControlFileOf, with_a_flipped_bit_is_none) {
  for (std::size_t at = 0; at < GetParam().crc + 4; ++at) {
    bytes_[at] ^= 0x10;
    EXPECT_FALSE(ControlFile::parse(bytes_)) << at;
    bytes_[at] ^= 0x10;
  }
}

TEST_P(ControlFileOf, cut_short_is_none) {
  for (std::size_t size = 0; size < GetParam().crc + 4; ++size)
    EXPECT_FALSE(ControlFile::parse(std::string_view(bytes_).substr(0, size))) << size;
}

TEST_P(ControlFileOf, another_size_is_named) {
  auto donor = ControlFile::parse(bytes_);
  put(GetParam().wal_segment_size, 1048576u);
  seal();
  auto here = ControlFile::parse(bytes_);
  ASSERT_TRUE(here && donor);
  EXPECT_EQ(difference_of(*here, *donor), "the WAL segment size is 1048576 here and 16777216 on the donor");
  EXPECT_EQ(difference_of(*donor, *donor), "");
}

INSTANTIATE_TEST_SUITE_P(Majors, ControlFileOf,
                         testing::Values(Places{1300, 64, 120, 204, 216, 0, 228, 248, 252, 288},
                                         Places{1700, 64, 120, 204, 216, 0, 228, 248, 252, 288},
                                         Places{1800, 64, 120, 204, 216, 0, 228, 248, 252, 292},
                                         Places{1905, 72, 128, 212, 224, 232, 240, 260, 268, 308}),
                         [](const auto& info) { return std::to_string(info.param.version); });

}  // namespace
}  // namespace standby_clone
