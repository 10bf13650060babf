// crc32c.h: CRC-32C (Castagnoli), as PostgreSQL computes it for WAL, pg_control and
// manifests; the checksum of each frame. The distributions carry no C++ library of it with
// a combine step, and every byte of a cluster goes through it on both sides.
//
// Three interleaved chains of the CRC instruction where the machine has it (the
// instruction takes three cycles, but one can start in each), else eight tables, for eight bytes
// a step. The chains are joined by multiplication modulo the polynomial; see Kadatch and Jenkins,
// "Everything we know about CRC but afraid to forget" (2010). No flags for the machine are
// needed: it is asked when the program runs.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
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

// kTables[n][byte]: what the byte leaves behind when n more have followed.
inline constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t index = 0; index < 256; ++index) {
    std::uint32_t value = index;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
    tables[0][index] = value;
  }
  for (std::size_t after = 1; after < tables.size(); ++after)
    for (std::uint32_t index = 0; index < 256; ++index) {
      std::uint32_t before = tables[after - 1][index];
      tables[after][index] = tables[0][before & 0xFF] ^ (before >> 8);
    }
  return tables;
}();

inline std::uint64_t load_little_endian(const unsigned char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

inline std::uint32_t by_tables(const unsigned char* at, std::size_t size, std::uint32_t state) {
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word = load_little_endian(at) ^ state;
    state = kTables[7][word & 0xFF] ^ kTables[6][word >> 8 & 0xFF] ^ kTables[5][word >> 16 & 0xFF] ^
            kTables[4][word >> 24 & 0xFF] ^ kTables[3][word >> 32 & 0xFF] ^
            kTables[2][word >> 40 & 0xFF] ^ kTables[1][word >> 48 & 0xFF] ^ kTables[0][word >> 56];
  }
  for (; size > 0; --size) state = kTables[0][(state ^ *at++) & 0xFF] ^ (state >> 8);
  return state;
}

// The instruction, by both names that it has.
#if defined(__x86_64__)
#define CRC32C_TARGET __attribute__((target("sse4.2")))
inline bool has_instruction() { return __builtin_cpu_supports("sse4.2"); }
CRC32C_TARGET inline std::uint64_t step(std::uint64_t state, std::uint64_t word) {
  return _mm_crc32_u64(state, word);
}
CRC32C_TARGET inline std::uint32_t step(std::uint32_t state, unsigned char byte) {
  return _mm_crc32_u8(state, byte);
}
#elif defined(__aarch64__)
#define CRC32C_TARGET
inline bool has_instruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
// Compilers have the intrinsics only where they may use the instruction everywhere.
inline std::uint64_t step(std::uint64_t state, std::uint64_t word) {
  asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
  return state;
}
inline std::uint32_t step(std::uint32_t state, unsigned char byte) {
  asm(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"(byte));
  return state;
}
#endif

#ifdef CRC32C_TARGET
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

CRC32C_TARGET inline std::uint32_t by_instruction(const unsigned char* at, std::size_t size,
                                                  std::uint32_t state) {
  static const auto kTableOne = make_shift_table(kShiftOne);
  static const auto kTableTwo = make_shift_table(kShiftTwo);
  std::uint64_t first = state;
  while (size >= 3 * kChain) {
    std::uint64_t second = 0, third = 0;
    for (const unsigned char* end = at + kChain; at < end; at += 8) {
      first = step(first, load_little_endian(at));
      second = step(second, load_little_endian(at + kChain));
      third = step(third, load_little_endian(at + 2 * kChain));
    }
    first = shift_by(kTableTwo, static_cast<std::uint32_t>(first)) ^
            shift_by(kTableOne, static_cast<std::uint32_t>(second)) ^ third;
    at += 2 * kChain;
    size -= 3 * kChain;
  }
  for (; size >= 8; size -= 8, at += 8) first = step(first, load_little_endian(at));
  auto rest = static_cast<std::uint32_t>(first);
  for (; size > 0; --size) rest = step(rest, *at++);
  return rest;
}
#endif

inline std::uint32_t extend(const unsigned char* at, std::size_t size, std::uint32_t state) {
#ifdef CRC32C_TARGET
  static const bool is_there = has_instruction();
  if (is_there) return by_instruction(at, size, state);
#undef CRC32C_TARGET
#endif
  return by_tables(at, size, state);
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
