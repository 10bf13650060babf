// instructions.cpp: rounds of one way to compute a checksum over 64 kB, for `ci/arm64 instructions`, which
// counts what a round takes: instructions WAY ROUNDS.
#include <cstdlib>
#include <string_view>

#include "extension/sender/page_checksum.h"
#include "protocol/crc32c.h"

#include "extension/pg/server.h"

extern "C" {
#include <storage/checksum_impl.h>
}

namespace {

constexpr std::size_t kSize = 64 * 1024, kPages = kSize / BLCKSZ;
alignas(8) unsigned char bytes[kSize];

std::uint32_t byte_by_byte(std::uint32_t state) {
  for (unsigned char byte : bytes)
    state = protocol::crc32c_detail::kTables[0][(state ^ byte) & 0xFF] ^ (state >> 8);
  return state;
}

std::uint32_t run(std::string_view way, std::uint32_t round) {
  char* pages = reinterpret_cast<char*>(bytes);
  if (way == "crc") return protocol::crc32c_detail::extend(bytes, kSize, round);
  if (way == "crc-tables") return protocol::crc32c_detail::by_tables(bytes, kSize, round);
  if (way == "crc-bytes") return byte_by_byte(round);
  if (way == "page-vectors")
    return static_cast<std::uint32_t>(sender::find_bad_page(pages, 0, kPages, 0));
  std::uint32_t sum = 0;
  for (std::uint32_t page = 0; page < kPages; ++page) sum += pg_checksum_page(pages + page * BLCKSZ, page);
  return sum;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  for (std::size_t at = 0; at < kSize; ++at) bytes[at] = static_cast<unsigned char>(at * 7 + (at >> 8));
  for (std::uint32_t page = 0; page < kPages; ++page) {
    char* start = reinterpret_cast<char*>(bytes) + page * BLCKSZ;
    reinterpret_cast<PageHeader>(start)->pd_checksum = pg_checksum_page(start, page);
  }
  volatile std::uint32_t result = 0;
  for (int round = std::atoi(words[2]); round > 0; --round)
    result = result + run(words[1], static_cast<std::uint32_t>(round));
  return 0;
}
