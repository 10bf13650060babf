// compare.cpp: hashing.
#include "helper/stream/compare.h"

#include <algorithm>
#include <cstring>

#include "protocol/crc32c.h"
#include "protocol/hash.h"

namespace standby_clone {
namespace {

bool is_zero(std::span<const std::byte> bytes) {
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

LocalChunk hash_chunk(std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t seed) {
  LocalChunk chunk;
  chunk.offset = offset;
  chunk.length = static_cast<std::uint32_t>(bytes.size());
  chunk.crc = protocol::crc32c(bytes);
  chunk.is_zero = is_zero(bytes);
  chunk.hash = protocol::content_hash(bytes, seed);
  return chunk;
}

}  // namespace

std::vector<LocalChunk> hash_chunks(const LocalFile& file, const Piece& piece, std::uint64_t seed,
                                    std::span<std::byte> buffer) {
  std::vector<LocalChunk> chunks;
  file.expect(piece.offset, piece.length);
  for (std::uint64_t at = 0; at < piece.length; at += protocol::kChunkSize) {
    auto wanted = std::min<std::uint64_t>(piece.length - at, protocol::kChunkSize);
    std::size_t got = file.read(piece.offset + at, buffer.first(wanted));
    if (got < wanted) break;
    chunks.push_back(hash_chunk(piece.offset + at, buffer.first(got), seed));
  }
  return chunks;
}

bool is_whole_digest(const protocol::PageDigest& digest) {
  std::uint64_t pages = (std::uint64_t{digest.length} + protocol::kHashPageSize - 1) / protocol::kHashPageSize;
  return digest.hashes.size() == pages * protocol::kPageHashSize;
}

std::vector<PageRange> different_pages(std::span<const std::byte> local, std::uint32_t length,
                                       protocol::Bytes hashes, std::uint64_t seed) {
  std::vector<PageRange> ranges;
  protocol::Reader read(hashes);
  for (std::uint32_t at = 0; at < length; at += protocol::kHashPageSize) {
    std::uint32_t size = std::min(length - at, protocol::kHashPageSize);
    std::uint64_t theirs = 0;
    read(theirs);
    if (at + size <= local.size() &&
        XXH3_64bits_withSeed(local.data() + at, size, seed) == theirs)
      continue;
    if (!ranges.empty() && ranges.back().at + ranges.back().length == at)
      ranges.back().length += size;
    else
      ranges.push_back({at, size});
  }
  return ranges;
}

}  // namespace standby_clone
