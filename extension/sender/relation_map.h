// relation_map.h: is a pg_filenode.map that was read while the server may be writing it
// whole? Up to 15 the server overwrites it in place (trap 24).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocol/crc32c.h"

namespace sender {

// RelMapFile of PostgreSQL's relmapper.c, in all versions: two 32-bit numbers, mappings of 8
// bytes, CRC32C of all before it, perhaps padding. The file has no other bytes.
inline bool is_whole_relation_map(const char* bytes, std::size_t size) {
  constexpr std::size_t kHeader = 8, kMapping = 8, kCrc = 4;
  if (size < kHeader + kCrc) return false;
  std::size_t covered = kHeader + (size - kHeader - kCrc) / kMapping * kMapping;
  std::uint32_t stored = 0;
  std::memcpy(&stored, bytes + covered, sizeof(stored));
  return protocol::crc32c(std::as_bytes(std::span(bytes, covered))) == stored;
}

}  // namespace sender
