// history.cpp: any bytes as the history of a timeline, as an LSN, and as a path in a manifest, which
// must stay JSON whatever the name of a file is.
#include "fuzz/target.h"

#include <nlohmann/json.hpp>

#include "helper/base/failure.h"
#include "helper/base/lsn.h"
#include "helper/standby/manifest.h"

using namespace standby_clone;

namespace {

void try_history(const std::string& text) {
  try {
    auto ranges = wal_ranges(1, 0x1000028, 3, 0x5000000, text);
    require(!ranges.empty() && ranges.front().timeline == 1 && ranges.back().end == 0x5000000);
    for (const auto& range : ranges) require(range.start <= range.end && range.timeline <= 3);
  } catch (const Failure&) {
  }
}

void try_manifest(const std::string& path) {
  std::string written;
  Manifest manifest([&](std::string_view text) { written += text; }, ManifestChecksums::kCrc32c,
                    170000, 42);
  manifest.add_file(path, 8192, 0, "00000000");
  manifest.finish({{1, 0x1000028, 0x2000000}});
  require(nlohmann::json::accept(written));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text = text_of(data, size);
  try_history(text);
  if (auto lsn = parse_lsn(text)) {
    require(parse_lsn(to_string(*lsn)) == lsn);
    require(wal_file_name(1, *lsn, 1 << 24).size() == 24);
  }
  if (text.size() < 1024) try_manifest(text);
  return 0;
}
