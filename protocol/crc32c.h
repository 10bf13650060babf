// crc32c.h: CRC-32C (Castagnoli), as PostgreSQL computes it for WAL, pg_control and
// manifests; the checksum of each frame. The distributions carry no C++ library of it with
// a combine step, and every byte of a cluster goes through it on both sides.
//
// Three interleaved chains of the CRC instruction where the machine has it (the
// instruction takes three cycles, but one can start in each), else a table. The chains are
// joined by multiplication modulo the polynomial; see Kadatch and Jenkins, "Everything we
// know about CRC but afraid to forget" (2010).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace protocol {
namespace crc32c_detail {

inline constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

// a * b modulo the polynomial, reflected: bit 31 is the factor of x^0.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ ((b & 1) ? kPolynomial : 0);
  }
  return product;
}

// kPowers[n] is x^(2^n).
inline constexpr auto kPowers = [] {
  std::array<std::uint32_t, 32> powers{};
  powers[0] = 0x40000000;
  for (std::size_t index = 1; index < powers.size(); ++index)
    powers[index] = multiply(powers[index - 1], powers[index - 1]);
  return powers;
}();

// x^(8 * size): what a CRC is multiplied by when `size` bytes follow. The order of x
// divides 2^31 - 1, so exponents may wrap around there.
constexpr std::uint32_t shift_of(std::uint64_t size) {
  std::uint32_t shift = 0x80000000;
  std::size_t power = 3;
  for (; size != 0; size >>= 1, power = (power + 1) % 31)
    if (size & 1) shift = multiply(shift, kPowers[power]);
  return shift;
}

inline constexpr auto kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t index = 0; index < 256; ++index) {
    std::uint32_t value = index;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
    table[index] = value;
  }
  return table;
}();

inline std::uint32_t by_table(const unsigned char* at, std::size_t size, std::uint32_t state) {
  for (; size > 0; --size) state = kTable[(state ^ *at++) & 0xFF] ^ (state >> 8);
  return state;
}

#if defined(__x86_64__)
// Bytes of one chain; three of them make a round.
inline constexpr std::size_t kChain = 1024;
inline constexpr std::uint32_t kShiftOne = shift_of(kChain);
inline constexpr std::uint32_t kShiftTwo = shift_of(2 * kChain);

// multiply() by a constant, by four table look-ups.
constexpr auto make_shift_table(std::uint32_t shift) {
  std::array<std::array<std::uint32_t, 256>, 4> table{};
  for (std::uint32_t byte = 0; byte < 4; ++byte)
    for (std::uint32_t value = 0; value < 256; ++value)
      table[byte][value] = multiply(value << (8 * byte), shift);
  return table;
}

inline std::uint32_t shift_by(const std::array<std::array<std::uint32_t, 256>, 4>& table,
                       std::uint32_t crc) {
  return table[0][crc & 0xFF] ^ table[1][(crc >> 8) & 0xFF] ^ table[2][(crc >> 16) & 0xFF] ^
         table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) inline std::uint32_t by_instruction(const unsigned char* at,
                                                               std::size_t size,
                                                               std::uint32_t state) {
  static const auto kTableOne = make_shift_table(kShiftOne);
  static const auto kTableTwo = make_shift_table(kShiftTwo);
  std::uint64_t first = state;
  while (size >= 3 * kChain) {
    std::uint64_t second = 0, third = 0;
    for (const unsigned char* end = at + kChain; at < end; at += 8) {
      std::uint64_t words[3];
      std::memcpy(&words[0], at, 8);
      std::memcpy(&words[1], at + kChain, 8);
      std::memcpy(&words[2], at + 2 * kChain, 8);
      first = _mm_crc32_u64(first, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    first = shift_by(kTableTwo, static_cast<std::uint32_t>(first)) ^
            shift_by(kTableOne, static_cast<std::uint32_t>(second)) ^ third;
    at += 2 * kChain;
    size -= 3 * kChain;
  }
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    first = _mm_crc32_u64(first, word);
  }
  auto rest = static_cast<std::uint32_t>(first);
  for (; size > 0; --size) rest = _mm_crc32_u8(rest, *at++);
  return rest;
}
#endif

inline std::uint32_t extend(const unsigned char* at, std::size_t size, std::uint32_t state) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return by_instruction(at, size, state);
#endif
  return by_table(at, size, state);
}

}  // namespace crc32c_detail

// Finished CRC of `bytes`. With `previous`, the finished CRC of what stood before
// them, that of both.
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0) {
  return ~crc32c_detail::extend(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                                ~previous);
}

// CRC of A followed by B, from the two CRCs and the size of B in bytes.
inline std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b,
                                    std::uint64_t size_b) {
  return crc32c_detail::multiply(crc_a, crc32c_detail::shift_of(size_b)) ^ crc_b;
}

// CRC of content of CRC `previous` followed by `size` zero bytes.
inline std::uint32_t crc32c_add_zeros(std::uint32_t previous, std::uint64_t size) {
  return ~crc32c_detail::multiply(~previous, crc32c_detail::shift_of(size));
}

// Copies and checks in one pass: the CRC of `from`, which now stands at `to` too. The
// copy goes in pieces that fit the first-level cache.
inline std::uint32_t copy_with_crc32c(std::byte* to, std::span<const std::byte> from) {
  constexpr std::size_t kPiece = 12 * 1024;  // a multiple of three chains
  std::uint32_t state = ~std::uint32_t{0};
  for (std::size_t at = 0; at < from.size();) {
    std::size_t size = std::min(kPiece, from.size() - at);
    std::memcpy(to + at, from.data() + at, size);
    state = crc32c_detail::extend(reinterpret_cast<const unsigned char*>(to + at), size, state);
    at += size;
  }
  return ~state;
}

}  // namespace protocol
