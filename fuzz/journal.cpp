// journal.cpp: any bytes as the journal of a half-made clone. What it names may be emptied. The
// checksums of its records are mended first: they guard against accidents, not against intent.
#include "helper/disk/journal.h"

#include "fuzz/target.h"
#include "helper/base/failure.h"
#include "protocol/crc32c.h"

using standby_clone::Journal;

namespace {

std::string mended(std::string bytes) {
  constexpr std::string_view kMagic = "pg_standby_clone journal 1\n";
  bytes.insert(0, kMagic);
  for (std::size_t at = kMagic.size(); at + 8 <= bytes.size();) {
    auto byte = [&](std::size_t index) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[index])); };
    std::size_t size = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    if (size > bytes.size() - at - 8) break;
    std::uint32_t crc = protocol::crc32c(std::as_bytes(std::span(bytes).subspan(at + 8, size)));
    for (int index = 0; index < 4; ++index) bytes[at + 4 + index] = static_cast<char>(crc >> (8 * index));
    at += 8 + size;
  }
  return bytes;
}

void try_as_journal(const std::string& bytes) {
  Journal journal;
  try {
    journal = Journal::parse(bytes, "journal");
  } catch (const standby_clone::Failure&) {
    return;
  }
  for (const auto& directory : journal.directories)
    require(directory.path.starts_with('/') && directory.path != "/" &&
            directory.path.find('\0') == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try_as_journal(text_of(data, size));
  try_as_journal(mended(text_of(data, size)));
  return 0;
}
