// compare.h: what is on disk against what the donor has, in two levels: one hash for each
// chunk goes up; of chunks that differ the hashes of the pages come down.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "helper/disk/local_file.h"
#include "helper/plan/plan.h"
#include "protocol/frame.h"

namespace standby_clone {

// A chunk that is here in its whole length.
struct LocalChunk {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t crc = 0;  // CRC32C, for the manifest
  bool is_zero = false;   // nothing of it came yet, most likely: its pages are not worth asking for
  std::array<std::byte, protocol::kChunkHashSize> hash{};
};

// Those chunks of the piece that are here, from its beginning on: the last one may be short only
// where the piece ends. `buffer` takes a chunk.
std::vector<LocalChunk> hash_chunks(const LocalFile& file, const Piece& piece, std::uint64_t seed,
                                    std::span<std::byte> buffer);

// Pages of a chunk that differ from the donor's, neighbours joined. `local` is what is here of
// the chunk, `length` what the donor has of it, `hashes` are the donor's. Empty if the digest
// has not one hash a page: check with is_whole_digest() before.
std::vector<PageRange> different_pages(std::span<const std::byte> local, std::uint32_t length,
                                       protocol::Bytes hashes, std::uint64_t seed);
bool is_whole_digest(const protocol::PageDigest& digest);

}  // namespace standby_clone
