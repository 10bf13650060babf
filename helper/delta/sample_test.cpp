// What two pages say, a test a case.
#include "helper/delta/sample.h"

#include <cstring>
#include <gtest/gtest.h>

#include "protocol/page_mask.h"

namespace standby_clone {
namespace {

constexpr std::size_t kSize = 8192;
constexpr Horizon kHorizon{0x5000000, 0x6000000};

// A heap page with a tuple, written at that position.
std::vector<std::byte> page_at(Lsn position, std::uint8_t content = 7) {
  std::vector<std::byte> page(kSize);
  auto put = [&](std::size_t at, auto number) { protocol::page::put(std::span(page), at, number); };
  put(0, static_cast<std::uint32_t>(position >> 32));
  put(4, static_cast<std::uint32_t>(position));
  put(12, std::uint16_t{28});
  put(14, std::uint16_t{8160});
  put(16, std::uint16_t{8192});
  put(18, static_cast<std::uint16_t>(kSize | 4));
  put(24, 8160u | 1u << 15 | 32u << 17);
  put(8160, 700u);
  put(8190, content);
  return page;
}

PageWord word(std::vector<std::byte> ours, std::vector<std::byte> theirs) {
  return word_of(ours, theirs, 0, kHorizon);
}

TEST(Sample, one_record_wrote_both) {
  auto hinted = page_at(0x5500000);
  protocol::page::put(std::span(hinted), 8160 + 20, std::uint16_t{0x0100});
  EXPECT_EQ(word(page_at(0x5500000), page_at(0x5500000)), PageWord::kSame);
  EXPECT_EQ(word(hinted, page_at(0x5500000)), PageWord::kSame) << "a hint bit";
  EXPECT_EQ(word(page_at(0x5500000, 8), page_at(0x5500000, 7)), PageWord::kAgainst);
  EXPECT_EQ(word(page_at(0x4000000), page_at(0x4000000)), PageWord::kSame) << "before the base";
}

TEST(Sample, what_the_donor_changed_since_says_nothing) {
  EXPECT_EQ(word(page_at(0x5500000), page_at(0x7000000, 9)), PageWord::kNothing);
  EXPECT_EQ(word(page_at(0x4000000), page_at(0x5500000, 9)), PageWord::kNothing) << "not written out here";
}

TEST(Sample, a_history_of_its_own_shows) {
  EXPECT_EQ(word(page_at(0x5600000), page_at(0x5500000)), PageWord::kAgainst) << "later here than there";
  EXPECT_EQ(word(page_at(0x6000001), page_at(0x7000000)), PageWord::kAgainst) << "beyond what was replayed";
  EXPECT_EQ(word(page_at(0x4000000), page_at(0x4800000)), PageWord::kAgainst) << "missed before the base";
}

TEST(Sample, pages_without_a_position_say_nothing) {
  EXPECT_EQ(word(page_at(0), page_at(0x5500000)), PageWord::kNothing);
  EXPECT_EQ(word(page_at(0x5500000), page_at(999)), PageWord::kAgainst) << "written here, never there";
  EXPECT_EQ(word(page_at(0x5500000), std::vector<std::byte>(kSize)), PageWord::kAgainst);
  EXPECT_EQ(word(std::vector<std::byte>(kSize), page_at(0x5500000)), PageWord::kNothing);
  EXPECT_EQ(word(page_at(0x5500000), {}), PageWord::kNothing) << "not there any more";
}

TEST(Sample, a_damaged_page_is_against) {
  auto damaged = page_at(0x5500000);
  protocol::page::put(std::span(damaged), 14, std::uint16_t{9000});
  EXPECT_EQ(word(damaged, page_at(0x5500000)), PageWord::kAgainst);
  EXPECT_EQ(word(page_at(0x5500000), damaged), PageWord::kAgainst);
}

bool stays(std::vector<std::byte> ours, std::vector<std::byte> theirs, std::optional<Lsn> newer_since = std::nullopt) {
  constexpr Lsn kStart = 0x6800000;
  return may_stay(ours, theirs, 0, kStart, newer_since);
}

TEST(Sample, what_stays_is_what_one_record_wrote) {
  EXPECT_TRUE(stays(page_at(0x5500000), page_at(0x5500000)));
  EXPECT_FALSE(stays(page_at(0x5500000, 8), page_at(0x5500000, 7)));
  EXPECT_FALSE(stays(page_at(0x5500000), page_at(0x6100000))) << "the donor changed it, and nothing named it";
  EXPECT_FALSE(stays(page_at(0x5600000), page_at(0x5500000))) << "it was changed here alone";
  EXPECT_FALSE(stays(page_at(0x5500000), page_at(0)));
  EXPECT_TRUE(stays(page_at(0, 1), page_at(0, 2))) << "never logged, on neither side";
}

TEST(Sample, what_is_replayed_or_comes_may_differ) {
  EXPECT_TRUE(stays(page_at(0x5500000), page_at(0x6800000, 9))) << "from the start of the backup on";
  EXPECT_TRUE(stays(page_at(0x4000000), page_at(0x5500000, 9), 0x5000000)) << "by the position of pages it comes";
  EXPECT_TRUE(stays(page_at(0x4000000), page_at(0), 0x5000000)) << "as does what has none";
  EXPECT_FALSE(stays(page_at(0x4000000), page_at(0x4800000, 9), 0x5000000));
}

TEST(Sample, a_damaged_page_does_not_stay) {
  auto damaged = page_at(0x5500000);
  protocol::page::put(std::span(damaged), 14, std::uint16_t{9000});
  EXPECT_FALSE(stays(damaged, page_at(0x5500000)));
}

}  // namespace
}  // namespace standby_clone
