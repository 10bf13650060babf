// control_file.cpp: places as in the ControlFileData of a 64-bit server, little-endian as
// every machine this program runs on.
#include "helper/disk/control_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <fmt/format.h>
#include <span>

#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

static_assert(std::endian::native == std::endian::little);

// Where things are in one version of pg_control.
struct Layout {
  std::uint32_t version;
  std::size_t next_transaction;  // nextXid of the checkpoint
  std::size_t oldest_active;     // oldestActiveXid of it
  std::size_t minimum_recovery;  // minRecoveryPoint, the first of what recovery needs
  std::size_t sizes;            // max_align, the first of what describes how the cluster is stored
  std::size_t slru_pages;       // 0: it has no such field
  std::size_t wal_sizes;        // wal_block_size and the six words after it
  std::size_t checksum_version;
  std::size_t char_signedness;  // 0: it has no such field
  std::size_t crc;              // of all before it; the last
};

constexpr Layout kLayouts[] = {
    {1300, 64, 120, 136, 204, 0, 224, 252, 0, 288},      // 15 and 16
    {1700, 64, 120, 136, 204, 0, 224, 252, 0, 288},      // only a record of the WAL was changed
    {1800, 64, 120, 136, 204, 0, 224, 252, 256, 292},
    {1905, 72, 128, 144, 212, 232, 236, 268, 272, 308},  // 19
};

template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return number;
}

}  // namespace

std::optional<ControlFile> ControlFile::parse(std::string_view bytes) {
  auto word = [&](std::size_t at) { return number_at<std::uint32_t>(bytes, at); };
  if (bytes.size() < 12) return std::nullopt;
  auto layout = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                             [&](const Layout& known) { return known.version == word(8); });
  if (layout == std::end(kLayouts) || bytes.size() < layout->crc + 4) return std::nullopt;
  if (protocol::crc32c(std::as_bytes(std::span(bytes.substr(0, layout->crc)))) != word(layout->crc))
    return std::nullopt;
  ControlFile file;
  file.system_identifier = number_at<std::uint64_t>(bytes, 0);
  file.version = layout->version;
  file.catalog_version = word(12);
  file.state = static_cast<ClusterState>(word(16));
  auto lsn = [&](std::size_t at) { return number_at<std::uint64_t>(bytes, at); };
  file.checkpoint = lsn(32);
  file.redo = lsn(40);
  file.timeline = word(48);
  file.next_transaction = number_at<std::uint64_t>(bytes, layout->next_transaction);
  file.oldest_active_transaction = word(layout->oldest_active);
  file.minimum_recovery = lsn(layout->minimum_recovery);
  file.minimum_recovery_timeline = word(layout->minimum_recovery + 8);
  file.backup_start = lsn(layout->minimum_recovery + 16);
  file.backup_end = lsn(layout->minimum_recovery + 24);
  file.wal_level_is_minimal = word(layout->minimum_recovery + 36) == 0;
  file.max_align = word(layout->sizes);
  file.float_format = number_at<double>(bytes, layout->sizes + 4);
  file.block_size = word(layout->sizes + 12);
  file.segment_blocks = word(layout->sizes + 16);
  if (layout->slru_pages != 0) file.slru_segment_pages = word(layout->slru_pages);
  file.wal_block_size = word(layout->wal_sizes);
  file.wal_segment_size = word(layout->wal_sizes + 4);
  file.name_size = word(layout->wal_sizes + 8);
  file.index_keys = word(layout->wal_sizes + 12);
  file.toast_chunk_size = word(layout->wal_sizes + 16);
  file.large_object_size = word(layout->wal_sizes + 20);
  file.float8_by_value = bytes[layout->wal_sizes + 24] != 0;
  file.checksum_version = word(layout->checksum_version);
  if (layout->char_signedness != 0) file.char_is_signed = bytes[layout->char_signedness] != 0;
  return file;
}

std::uint64_t ControlFile::first_young_transaction() const {
  if (oldest_active_transaction == 0) return next_transaction;
  constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;
  std::uint64_t of_epoch = next_transaction / kEpoch * kEpoch + oldest_active_transaction;
  return of_epoch > next_transaction && of_epoch >= kEpoch ? of_epoch - kEpoch : of_epoch;
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
           {"the number of pages of an SLRU segment", here.slru_segment_pages, donor.slru_segment_pages},
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
