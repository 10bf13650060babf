// lsn.cpp: LSN texts and WAL file names, as in PostgreSQL's xlog_internal.h.
#include "helper/base/lsn.h"

#include <charconv>
#include <fmt/format.h>

namespace standby_clone {

std::string to_string(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xFFFFFFFF); }

std::optional<Lsn> parse_lsn(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash > 8) return std::nullopt;
  std::uint32_t high = 0, low = 0;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), text.data() + slash, high, 16);
  auto second = std::from_chars(text.data() + slash + 1, end, low, 16);
  if (first.ec != std::errc{} || first.ptr != text.data() + slash || second.ec != std::errc{} ||
      second.ptr != end)
    return std::nullopt;
  return (static_cast<Lsn>(high) << 32) | low;
}

std::string wal_file_name(Timeline timeline, Lsn lsn, std::uint32_t segment_size) {
  Lsn number = lsn / segment_size;
  Lsn per_id = (Lsn{1} << 32) / segment_size;
  return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_id, number % per_id);
}

std::string history_file_name(Timeline timeline) { return fmt::format("{:08X}.history", timeline); }

}  // namespace standby_clone
