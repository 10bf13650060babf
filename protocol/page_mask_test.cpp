// What no WAL tells of is put aside, all else stays; what no server writes is refused, whatever it is.
#include "protocol/page_mask.h"

#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace protocol {
namespace {

constexpr std::size_t kSize = 8192;
constexpr std::uint32_t kBlock = 70000;

// Of its own size exactly, so that a sanitizer sees a step beyond.
class Page {
 public:
  explicit Page(std::size_t special = 0) : bytes_(kSize) {
    put<std::uint16_t>(12, 24);
    put<std::uint16_t>(14, static_cast<std::uint16_t>(kSize - special));
    put<std::uint16_t>(16, static_cast<std::uint16_t>(kSize - special));
    put<std::uint16_t>(18, kSize | 4);
  }
  template <class Number>
  void put(std::size_t at, Number number) { page::put(std::span(bytes_), at, number); }
  template <class Number>
  Number get(std::size_t at) const { return page::get<Number>(std::span(bytes_), at); }

  // A line pointer and what it leads to; returns where that is.
  std::size_t add_item(std::size_t length, unsigned flags = 1) {
    auto lower = get<std::uint16_t>(12);
    auto at = static_cast<std::uint16_t>(get<std::uint16_t>(14) - (length + 7) / 8 * 8);
    put<std::uint32_t>(lower, at | flags << 15 | static_cast<std::uint32_t>(length) << 17);
    put<std::uint16_t>(12, static_cast<std::uint16_t>(lower + 4));
    put<std::uint16_t>(14, at);
    return at;
  }
  std::size_t add_tuple(std::size_t data_length = 9) {
    std::size_t at = add_item(24 + data_length);
    bytes_[at + 22] = std::byte{24};
    put<std::uint32_t>(at, 700);
    put<std::uint16_t>(at + 14, static_cast<std::uint16_t>(kBlock));
    put<std::uint16_t>(at + 12, kBlock >> 16);
    put<std::uint16_t>(at + 16, static_cast<std::uint16_t>((get<std::uint16_t>(12) - 24) / 4));
    return at;
  }
  void set_special(std::size_t at, std::uint16_t value) { put(get<std::uint16_t>(16) + at, value); }

  bool mask() { return mask_page(bytes_, kBlock); }
  std::vector<std::byte>& bytes() { return bytes_; }
  bool operator==(const Page&) const = default;

 private:
  std::vector<std::byte> bytes_;
};

bool hold_the_same(Page left, Page right) {
  EXPECT_TRUE(left.mask());
  EXPECT_TRUE(right.mask());
  return left == right;
}

// The page, and what comes of it by `change`.
bool hold_the_same_after(const Page& page, auto change) {
  Page other = page;
  change(other);
  return hold_the_same(page, other);
}

Page heap_page() {
  Page page;
  page.add_tuple();
  page.add_tuple(33);
  return page;
}

TEST(PageMask, what_no_wal_tells_of_a_heap_page_is_put_aside) {
  const Page page = heap_page();
  const std::size_t tuple = page.get<std::uint32_t>(24) & 0x7FFF;
  auto same = [&](auto change) { return hold_the_same_after(page, change); };
  EXPECT_TRUE(same([](Page& it) { it.put<std::uint64_t>(0, 77); })) << "LSN";
  EXPECT_TRUE(same([](Page& it) { it.put<std::uint16_t>(8, 77); })) << "checksum";
  EXPECT_TRUE(same([](Page& it) { it.put<std::uint16_t>(10, 7); })) << "flags";
  EXPECT_TRUE(same([](Page& it) { it.put<std::uint32_t>(20, 77); })) << "pd_prune_xid";
  EXPECT_TRUE(same([](Page& it) { it.put<std::uint32_t>(40, 77); })) << "free space";
  EXPECT_TRUE(same([&](Page& it) { it.put<std::uint16_t>(tuple + 20, 0x0500); })) << "hint bits";
  EXPECT_TRUE(same([&](Page& it) { it.put<std::uint32_t>(tuple + 8, 3); })) << "command";
  EXPECT_TRUE(same([&](Page& it) { it.put<std::uint8_t>(tuple + 33, 3); })) << "padding";
  EXPECT_TRUE(same([&](Page& it) {
    it.put<std::uint16_t>(tuple + 16, 0xFFFE);
    it.put<std::uint32_t>(tuple + 12, 99);
  })) << "speculative token";
}

TEST(PageMask, what_matters_of_a_heap_page_stays) {
  const Page page = heap_page();
  const std::size_t tuple = page.get<std::uint32_t>(24) & 0x7FFF;
  auto differs = [&](auto change) { return !hold_the_same_after(page, change); };
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint32_t>(tuple, 701); })) << "xmin";
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint32_t>(tuple + 4, 701); })) << "xmax";
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint16_t>(tuple + 16, 2); })) << "ctid";
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint16_t>(tuple + 18, 2); })) << "infomask2";
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint8_t>(tuple + 32, 2); })) << "data";
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint16_t>(tuple + 20, 1); })) << "has NULLs";
  EXPECT_TRUE(differs([&](Page& it) { it.add_tuple(); })) << "one more";
  // A frozen tuple's xmin is as good as a change.
  EXPECT_TRUE(differs([&](Page& it) { it.put<std::uint16_t>(tuple + 20, 0x0340); })) << "lock of a frozen tuple";
}

TEST(PageMask, dead_space_of_an_empty_heap_page_is_free_space) {
  Page page, other;
  other.put<std::uint32_t>(24, 77);
  EXPECT_TRUE(hold_the_same(page, other));
}

TEST(PageMask, values_of_a_sequence_are_put_aside) {
  Page page(8);
  page.put<std::uint64_t>(kSize - 8, 0x1717);
  std::size_t tuple = page.add_tuple(17);
  Page other = page;
  for (std::size_t at = 24; at < 41; ++at) other.put<std::uint8_t>(tuple + at, 9);
  EXPECT_TRUE(hold_the_same(page, other));
  other.put<std::uint32_t>(tuple, 999);
  EXPECT_FALSE(hold_the_same(page, other));
}

TEST(PageMask, dead_entries_are_hints_on_leaves_alone) {
  for (bool is_leaf : {true, false})
    for (std::uint16_t id : {0, 0xFF81}) {
      Page page(16);
      page.set_special(12, is_leaf ? 1 : 0);
      page.set_special(14, id);
      page.add_item(16);
      Page other = page;
      other.put<std::uint32_t>(24, other.get<std::uint32_t>(24) | 3u << 15);
      EXPECT_EQ(hold_the_same(page, other), is_leaf) << id;
    }
}

TEST(PageMask, marks_of_indexes_are_put_aside) {
  Page btree(16), btree_other(16);
  btree_other.set_special(12, 1 << 5 | 1 << 6);
  btree_other.set_special(14, 0x1234);
  EXPECT_TRUE(hold_the_same(btree, btree_other));
  btree_other.set_special(8, 1);  // its level
  EXPECT_FALSE(hold_the_same(btree, btree_other));

  Page gist(16), gist_other(16);
  for (Page* page : {&gist, &gist_other}) page->set_special(14, 0xFF81);
  gist_other.set_special(0, 77);  // NSN
  gist_other.set_special(12, 8 | 16);
  EXPECT_TRUE(hold_the_same(gist, gist_other));

  Page hash(16), hash_other(16);
  for (Page* page : {&hash, &hash_other}) {
    page->set_special(14, 0xFF80);
    page->set_special(12, 2);
    page->add_item(16);
  }
  hash_other.set_special(12, 2 | 1 << 7);
  EXPECT_TRUE(hold_the_same(hash, hash_other));

  Page spgist(8), spgist_other(8);
  for (Page* page : {&spgist, &spgist_other}) {
    page->set_special(6, 0xFF82);
    page->set_special(0, 1);
    page->put<std::uint32_t>(24, 0xBA0BABEE);
    page->put<std::uint16_t>(12, 24 + 68);
  }
  spgist_other.put<std::uint32_t>(28, 5);
  spgist_other.put<std::uint32_t>(24 + 64, 5);
  EXPECT_TRUE(hold_the_same(spgist, spgist_other));
  spgist_other.put<std::uint32_t>(24, 5);
  EXPECT_FALSE(hold_the_same(spgist, spgist_other));

  Page gin(8), gin_other(8);
  gin.set_special(6, 4);
  gin_other.set_special(6, 4);
  gin_other.add_item(40);
  EXPECT_TRUE(hold_the_same(gin, gin_other));

  Page brin(8), brin_other(8);
  for (Page* page : {&brin, &brin_other}) page->set_special(6, 0xF092);
  brin_other.set_special(4, 1);
  EXPECT_TRUE(hold_the_same(brin, brin_other));
  brin_other.put<std::uint32_t>(24, 5);  // a revmap fills all its room
  EXPECT_FALSE(hold_the_same(brin, brin_other));
}

TEST(PageMask, a_new_page_is_sound) {
  std::vector<std::byte> zeros(kSize);
  EXPECT_TRUE(mask_page(zeros, 0));
  EXPECT_EQ(zeros, std::vector<std::byte>(kSize));
}

TEST(PageMask, what_no_server_writes_is_refused_and_left_as_it_is) {
  auto refused = [](const char* what, auto change) {
    Page page = heap_page();
    change(page);
    Page before = page;
    EXPECT_FALSE(page.mask()) << what;
    EXPECT_EQ(page, before) << what;
  };
  auto pointer = [](std::uint32_t offset, std::uint32_t length) { return offset | 1u << 15 | length << 17; };
  refused("flags", [](Page& it) { it.put<std::uint16_t>(10, 8); });
  refused("lower beyond upper", [](Page& it) { it.put<std::uint16_t>(12, 8190); });
  refused("special beyond the page", [](Page& it) { it.put<std::uint16_t>(16, 8200); });
  refused("another layout", [](Page& it) { it.put<std::uint16_t>(18, kSize | 3); });
  refused("another size", [](Page& it) { it.put<std::uint16_t>(18, 4096 | 4); });
  refused("item beyond the page", [&](Page& it) { it.put<std::uint32_t>(24, pointer(8184, 40)); });
  refused("item in free space", [&](Page& it) { it.put<std::uint32_t>(24, pointer(64, 40)); });
  refused("item too short for a tuple", [&](Page& it) { it.put<std::uint32_t>(24, pointer(8160, 20)); });
  refused("item between two places", [&](Page& it) { it.put<std::uint32_t>(24, pointer(8129, 40)); });
  refused("normal item without a place", [&](Page& it) { it.put<std::uint32_t>(24, pointer(0, 0)); });
}

TEST(PageMask, any_bytes_are_looked_at_within_their_bounds) {
  std::mt19937 random(7);
  for (std::size_t special : {0, 8, 16, 24})
    for (int round = 0; round < 3000; ++round) {
      Page page(special);
      for (int items = static_cast<int>(random() % 20); items > 0; --items) page.add_tuple(random() % 60);
      for (std::size_t at = special; at > 0; --at) page.put<std::uint8_t>(kSize - at, static_cast<std::uint8_t>(random()));
      static constexpr std::uint16_t kIds[] = {0, 0xFF80, 0xFF81, 0xFF82, 0xFF83, 0xF091, 0xF092, 0xF093};
      if (special >= 2) page.set_special(special - 2, kIds[random() % 8]);
      for (int damage = static_cast<int>(random() % 12); damage > 0; --damage)
        page.put<std::uint8_t>(random() % (random() % 2 ? 120 : kSize), static_cast<std::uint8_t>(random()));
      // Of exactly its size, where a step beyond is seen.
      auto exact = std::make_unique<std::byte[]>(kSize);
      std::memcpy(exact.get(), page.bytes().data(), kSize);
      bool is_sound = mask_page(std::span(exact.get(), kSize), kBlock);
      if (is_sound) {
        // Once is enough.
        std::vector<std::byte> once(exact.get(), exact.get() + kSize);
        if (mask_page(std::span(exact.get(), kSize), kBlock)) {
          EXPECT_EQ(std::memcmp(once.data(), exact.get(), kSize), 0);
        }
      }
    }
}

}  // namespace
}  // namespace protocol
