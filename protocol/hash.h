// hash.h: what both sides compare content by: XXH3-128 with a seed, in its canonical form.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "protocol/limits.h"

namespace protocol {

using ContentHash = std::array<std::byte, kChunkHashSize>;

inline ContentHash canonical(XXH128_hash_t hash) {
  XXH128_canonical_t form;
  XXH128_canonicalFromHash(&form, hash);
  ContentHash bytes;
  static_assert(sizeof(form.digest) == sizeof(bytes));
  std::memcpy(bytes.data(), form.digest, sizeof(bytes));
  return bytes;
}

inline ContentHash content_hash(std::span<const std::byte> content, std::uint64_t seed) {
  return canonical(XXH3_128bits_withSeed(content.data(), content.size(), seed));
}

// The same of content that comes piece by piece.
class ContentHasher {
 public:
  explicit ContentHasher(std::uint64_t seed) { XXH3_128bits_reset_withSeed(&state_, seed); }
  void add(const void* bytes, std::size_t size) { XXH3_128bits_update(&state_, bytes, size); }
  ContentHash value() const { return canonical(XXH3_128bits_digest(&state_)); }

 private:
  XXH3_state_t state_{};  // a reset reads of it before it sets it
};

}  // namespace protocol
