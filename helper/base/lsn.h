// lsn.h: positions in the WAL, and the names of its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/request.h"

namespace standby_clone {

using protocol::Lsn;
using Timeline = std::uint32_t;

std::string to_string(Lsn lsn);  // "0/A000028"
std::optional<Lsn> parse_lsn(std::string_view text);

// Name of the segment that holds `lsn`: "00000001000000000000000A".
std::string wal_file_name(Timeline timeline, Lsn lsn, std::uint32_t segment_size);
std::string history_file_name(Timeline timeline);  // "00000002.history"

inline Lsn segment_start(Lsn lsn, std::uint32_t segment_size) { return lsn - lsn % segment_size; }

}  // namespace standby_clone
