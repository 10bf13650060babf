// page_checksum.h: are these pages what their checksums say?
#pragma once

#include <cstddef>
#include <cstdint>

namespace sender {

// Index of the first of `count` pages (of BLCKSZ bytes, at `pages`) whose checksum
// is wrong, from `begin` on; `count` if none. New pages, which are all zero, have no
// checksum; one that says it is new and has a body is as wrong. `first_block` is the number of page 0 within its fork (trap 57).
std::size_t find_bad_page(const char* pages, std::size_t begin, std::size_t count,
                          std::uint32_t first_block);

}  // namespace sender
