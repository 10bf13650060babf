// control_file.cpp: places as in the ControlFileData of a 64-bit server, little-endian as
// every machine this program runs on.
#include "helper/disk/control_file.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <span>

#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

static_assert(std::endian::native == std::endian::little);

// 15 and 16; 17 changed a record of the WAL, but no place here.
constexpr std::uint32_t kVersionOf15 = 1300;
constexpr std::uint32_t kVersionOf17 = 1700;
constexpr std::uint32_t kVersionOf18 = 1800;

// Where the CRC of all before it is.
constexpr std::size_t kCrcOf15To17 = 288;
constexpr std::size_t kCrcOf18 = 292;

template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return number;
}

}  // namespace

std::optional<ControlFile> ControlFile::parse(std::string_view bytes) {
  if (bytes.size() < kCrcOf18 + 4) return std::nullopt;
  auto word = [&](std::size_t at) { return number_at<std::uint32_t>(bytes, at); };
  ControlFile file;
  file.system_identifier = number_at<std::uint64_t>(bytes, 0);
  file.version = word(8);
  if (file.version != kVersionOf15 && file.version != kVersionOf17 && file.version != kVersionOf18)
    return std::nullopt;
  std::size_t crc_at = file.version == kVersionOf18 ? kCrcOf18 : kCrcOf15To17;
  if (protocol::crc32c(std::as_bytes(std::span(bytes.substr(0, crc_at)))) != word(crc_at))
    return std::nullopt;
  file.catalog_version = word(12);
  file.state = word(16);
  file.max_align = word(204);
  file.float_format = number_at<double>(bytes, 208);
  file.block_size = word(216);
  file.segment_blocks = word(220);
  file.wal_block_size = word(224);
  file.wal_segment_size = word(228);
  file.name_size = word(232);
  file.index_keys = word(236);
  file.toast_chunk_size = word(240);
  file.large_object_size = word(244);
  file.float8_by_value = bytes[248] != 0;
  file.checksum_version = word(252);
  if (file.version == kVersionOf18) file.char_is_signed = bytes[256] != 0;
  return file;
}

std::string difference_of(const ControlFile& here, const ControlFile& donor) {
  auto differ = [](const char* what, auto ours, auto theirs) {
    return fmt::format("{} is {} here and {} on the donor", what, ours, theirs);
  };
  if (here.system_identifier != donor.system_identifier)
    return differ("the system identifier", here.system_identifier, donor.system_identifier);
  struct Field {
    const char* what;
    std::uint32_t here, donor;
  };
  for (const Field& field : std::initializer_list<Field>{
           {"the version of pg_control", here.version, donor.version},
           {"the catalog version", here.catalog_version, donor.catalog_version},
           {"the version of data checksums", here.checksum_version, donor.checksum_version},
           {"the WAL segment size", here.wal_segment_size, donor.wal_segment_size},
           {"the block size", here.block_size, donor.block_size},
           {"the number of blocks of a segment", here.segment_blocks, donor.segment_blocks},
           {"the WAL block size", here.wal_block_size, donor.wal_block_size},
           {"the maximum alignment", here.max_align, donor.max_align},
           {"the length of names", here.name_size, donor.name_size},
           {"the number of index keys", here.index_keys, donor.index_keys},
           {"the TOAST chunk size", here.toast_chunk_size, donor.toast_chunk_size},
           {"the large object chunk size", here.large_object_size, donor.large_object_size}})
    if (field.here != field.donor) return differ(field.what, field.here, field.donor);
  if (here.float_format != donor.float_format || here.float8_by_value != donor.float8_by_value)
    return "floating-point numbers are stored in another way here than on the donor";
  if (here.char_is_signed != donor.char_is_signed)
    return "the default signedness of characters is another one here than on the donor";
  return "";
}

}  // namespace standby_clone
