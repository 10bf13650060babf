// crc32c.h: CRC-32C (Castagnoli), as PostgreSQL computes it for WAL, pg_control and
// manifests. No well-kept C++ library of the distributions has it with a combine
// step, and every byte of a cluster goes through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace standby_clone {

// Finished CRC of `bytes`. With `previous`, the finished CRC of what stood before
// them, that of both.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0);

// CRC of A followed by B, from the two CRCs and the size of B in bytes.
std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t size_b);

// CRC of `size` zero bytes that follow content of CRC `previous`.
std::uint32_t crc32c_add_zeros(std::uint32_t previous, std::uint64_t size);

// Copies and checks in one pass: the CRC of `from`, which now stands at `to` too.
// The copy goes in pieces that fit the first-level cache.
std::uint32_t copy_with_crc32c(std::byte* to, std::span<const std::byte> from);

}  // namespace standby_clone
