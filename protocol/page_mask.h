// page_mask.h: two pages that hold the same, byte for byte: what a server changes in a page without WAL, or replay
// makes otherwise than the first time, is put aside. The rules are those of the server's own mask functions (heap_mask,
// btree_mask and their like, which wal_consistency_checking uses), which need the server and trust the page. These
// trust nothing: what no server writes is refused before a byte of it is followed.
//
// The kind of a page shows in its special space, as pg_filedump tells them apart.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace protocol {

namespace page {

using Bytes = std::span<std::byte>;

inline constexpr std::size_t kHeaderSize = 24;  // SizeOfPageHeaderData
inline constexpr std::size_t kTupleHeaderSize = 23;  // SizeofHeapTupleHeader

template <class Number>
Number get(std::span<const std::byte> page, std::size_t at) {
  Number number;
  std::memcpy(&number, page.data() + at, sizeof(number));
  return number;
}
template <class Number>
void put(Bytes page, std::size_t at, Number number) {
  std::memcpy(page.data() + at, &number, sizeof(number));
}
template <class Number>
void clear(Bytes page, std::size_t at, Number bits) {
  put(page, at, static_cast<Number>(get<Number>(page, at) & ~bits));
}
inline void blank(Bytes page, std::size_t begin, std::size_t end) {
  if (begin < end) std::memset(page.data() + begin, 0, end - begin);
}

inline std::uint64_t position_of(std::span<const std::byte> page) {  // its LSN
  return std::uint64_t{get<std::uint32_t>(page, 0)} << 32 | get<std::uint32_t>(page, 4);
}
inline std::size_t lower_of(std::span<const std::byte> page) { return get<std::uint16_t>(page, 12); }
inline std::size_t upper_of(std::span<const std::byte> page) { return get<std::uint16_t>(page, 14); }
inline std::size_t special_of(std::span<const std::byte> page) { return get<std::uint16_t>(page, 16); }

enum class Kind { kNew, kHeap, kSequence, kBtree, kHash, kGist, kGin, kSpGist, kBrin, kOther };

struct LinePointer {
  explicit LinePointer(std::uint32_t bits)
      : offset(bits & 0x7FFF), flags(bits >> 15 & 3), length(bits >> 17) {}
  std::uint32_t offset, flags, length;
  bool is_normal() const { return flags == 1; }
};

inline std::size_t line_pointer_count(std::span<const std::byte> page) {
  return lower_of(page) <= kHeaderSize ? 0 : (lower_of(page) - kHeaderSize) / 4;
}
inline LinePointer line_pointer(std::span<const std::byte> page, std::size_t index) {
  return LinePointer(get<std::uint32_t>(page, kHeaderSize + 4 * index));
}

// As PageIsVerified() of the server, and that the page is of this size and layout.
inline bool has_sound_header(std::span<const std::byte> page) {
  if (page.size() < 1024 || page.size() > 32768 || !std::has_single_bit(page.size())) return false;
  constexpr std::uint16_t kFlags = 7, kLayout = 4;
  return (get<std::uint16_t>(page, 10) & ~kFlags) == 0 && lower_of(page) <= upper_of(page) &&
         upper_of(page) <= special_of(page) && special_of(page) <= page.size() && special_of(page) % 8 == 0 &&
         get<std::uint16_t>(page, 18) == (page.size() | kLayout);
}

inline bool is_new(std::span<const std::byte> page) {
  return page.empty() || (page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0);
}

// Of a page with a sound header.
inline Kind kind_of(std::span<const std::byte> page) {
  std::size_t special = special_of(page);
  auto id = page.size() - special >= 2 ? get<std::uint16_t>(page, page.size() - 2) : std::uint16_t{0};
  switch (page.size() - special) {
    case 0: return Kind::kHeap;
    case 16: return id == 0xFF80 ? Kind::kHash : id == 0xFF81 ? Kind::kGist : Kind::kBtree;
    case 8:
      if (id == 0xFF82) return Kind::kSpGist;
      if (id >= 0xF091 && id <= 0xF093) return Kind::kBrin;
      if (id >= 0xFF83) return Kind::kOther;
      // A sequence's special space is a number that a GIN page may have as its neighbour on the right.
      if (get<std::uint64_t>(page, special) == 0x1717 && line_pointer_count(page) == 1) return Kind::kSequence;
      return Kind::kGin;
    default: return Kind::kOther;
  }
}

inline bool has_sound_line_pointers(std::span<const std::byte> page, std::size_t length_min) {
  for (std::size_t index = 0; index < line_pointer_count(page); ++index) {
    LinePointer pointer = line_pointer(page, index);
    if (pointer.length == 0 && !pointer.is_normal()) continue;
    if (pointer.offset < upper_of(page) || pointer.offset % 8 != 0 ||
        pointer.offset + pointer.length > special_of(page) || pointer.length < length_min)
      return false;
  }
  return true;
}

inline void mask_unused(Bytes page) {
  if (lower_of(page) >= kHeaderSize) blank(page, lower_of(page), upper_of(page));
}
inline void mask_content(Bytes page) {
  blank(page, 12, 16);
  blank(page, kHeaderSize, page.size());
}
// Whether an entry was found dead is a hint.
inline void mask_dead(Bytes page) {
  for (std::size_t index = 0; index < line_pointer_count(page); ++index)
    clear<std::uint32_t>(page, kHeaderSize + 4 * index, 3u << 15);
}

inline void mask_tuples(Bytes page, std::uint32_t block, bool is_sequence) {
  constexpr std::uint16_t kXact = 0xFFF0, kXminFrozen = 0x0300, kXmaxHints = 0x0C00, kSpeculative = 0xFFFE;
  for (std::size_t index = 0; index < line_pointer_count(page); ++index) {
    LinePointer pointer = line_pointer(page, index);
    std::size_t tuple = pointer.offset, end = tuple + pointer.length;
    if (pointer.is_normal()) {
      bool is_frozen = (get<std::uint16_t>(page, tuple + 20) & kXminFrozen) == kXminFrozen;
      clear(page, tuple + 20, is_frozen ? kXmaxHints : kXact);
      blank(page, tuple + 8, tuple + 12);  // the command's number
      // A tuple that was not confirmed yet names its token; afterwards, and after replay, itself.
      if (get<std::uint16_t>(page, tuple + 16) == kSpeculative) {
        put(page, tuple + 12, static_cast<std::uint16_t>(block >> 16));
        put(page, tuple + 14, static_cast<std::uint16_t>(block));
        put(page, tuple + 16, static_cast<std::uint16_t>(index + 1));
      }
      // last_value, log_cnt, is_called: WAL is ahead of them.
      std::size_t values = tuple + std::to_integer<std::size_t>(page[tuple + 22]);
      if (is_sequence && values + 17 <= end) blank(page, values, values + 17);
    }
    if (pointer.length > 0) blank(page, end, (end + 7) / 8 * 8);
  }
}

}  // namespace page

// Puts aside what may differ where two servers' pages at one LSN hold the same. `block` is its number within the
// fork. False if no server writes such a page: then it is as it was.
inline bool mask_page(std::span<std::byte> page, std::uint32_t block) {
  using namespace page;
  if (is_new(page)) return true;
  if (!has_sound_header(page)) return false;
  const Kind kind = kind_of(page);
  const std::size_t special = special_of(page);
  const bool is_of_tuples = kind == Kind::kHeap || kind == Kind::kSequence;
  // Pages of line pointers, all of them; others use the same room for what they like.
  if (is_of_tuples && !has_sound_line_pointers(page, kTupleHeaderSize)) return false;
  blank(page, 0, 10);                      // LSN, checksum
  clear<std::uint16_t>(page, 10, 7);       // PD_HAS_FREE_LINES, PD_PAGE_FULL, PD_ALL_VISIBLE
  blank(page, 20, 24);                     // pd_prune_xid
  auto flags_at = special + 12;
  switch (kind) {
    case Kind::kNew: break;
    case Kind::kHeap:
    case Kind::kSequence:
      mask_unused(page);
      mask_tuples(page, block, kind == Kind::kSequence);
      break;
    case Kind::kBtree: {
      constexpr std::uint16_t kLeaf = 1, kSplitEnd = 1 << 5, kHasGarbage = 1 << 6;
      mask_unused(page);
      if (get<std::uint16_t>(page, flags_at) & kLeaf) mask_dead(page);
      clear<std::uint16_t>(page, flags_at, kSplitEnd | kHasGarbage);
      blank(page, special + 14, special + 16);  // the cycle of a vacuum
      break;
    }
    case Kind::kHash: {
      constexpr std::uint16_t kOverflow = 1, kBucket = 2, kTypes = 15, kHasDead = 1 << 7;
      auto flags = get<std::uint16_t>(page, flags_at);
      mask_unused(page);
      if ((flags & kTypes) == 0) {
        mask_content(page);
        break;
      }
      if (flags & (kOverflow | kBucket)) mask_dead(page);
      clear(page, flags_at, kHasDead);
      break;
    }
    case Kind::kGist: {
      constexpr std::uint16_t kLeaf = 1, kFollowRight = 8, kHasGarbage = 16;
      mask_unused(page);
      blank(page, special, special + 8);  // the NSN, an LSN
      if (get<std::uint16_t>(page, flags_at) & kLeaf) mask_dead(page);
      clear<std::uint16_t>(page, flags_at, kFollowRight | kHasGarbage);
      break;
    }
    case Kind::kGin: {
      constexpr std::uint16_t kDeleted = 4;
      if (get<std::uint16_t>(page, special + 6) & kDeleted)
        mask_content(page);
      else if (lower_of(page) > kHeaderSize)  // the metapage does not say where it ends
        mask_unused(page);
      break;
    }
    case Kind::kSpGist: {
      constexpr std::uint16_t kMeta = 1;
      mask_unused(page);
      // lastUsedPages, changed without WAL.
      if (get<std::uint16_t>(page, special) & kMeta) blank(page, kHeaderSize + 4, kHeaderSize + 4 + 8 * 8);
      break;
    }
    case Kind::kBrin: {
      constexpr std::uint16_t kRevmap = 0xF092, kEvacuate = 1;
      if (get<std::uint16_t>(page, special + 6) != kRevmap) mask_unused(page);
      clear(page, special + 4, kEvacuate);
      break;
    }
    case Kind::kOther:
      mask_unused(page);
      break;
  }
  return true;
}

}  // namespace protocol
