// content_of_tests.h: what the tests of this room copy, and how it is known again.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "protocol/crc32c.h"
#include "protocol/limits.h"

namespace standby_clone {

constexpr std::uint64_t kChunk = protocol::kChunkSize;

// No byte is zero: zeros tell what was not written.
inline std::string random_content(std::size_t size, std::uint64_t seed = 9) {
  std::mt19937_64 random(seed);
  std::string content(size, '\0');
  for (auto& letter : content) letter = static_cast<char>(random() | 1);
  return content;
}

inline std::uint32_t crc_of(std::string_view content) {
  return protocol::crc32c(std::as_bytes(std::span(content)));
}

}  // namespace standby_clone
