// page_verifier.h: is what was read of a relation what the server wrote, or is the page damaged?
#pragma once

#include "extension/sender/reader.h"

namespace sender {

// Damaged pages of one range.
struct DamagedPages {
  std::uint32_t count;
  std::uint32_t first_block;
};

// Looks at the whole pages of what was read from the reader's file at `offset`. Those whose checksum
// is wrong are read again, for up to a second all in all, and replaced by what came; what is then
// damaged is logged and added to `damaged`. `size` is at most kFramePlainMax.
void verify_pages(Reader& reader, char* bytes, std::size_t size, std::uint64_t offset,
                  DamagedPages& damaged);

// Tells the clone's record and the server's statistics, once a range.
void report_damage(Reader& reader, const DamagedPages& damaged);

}  // namespace sender
