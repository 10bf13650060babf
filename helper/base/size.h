// size.h: sizes and times as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace standby_clone {

std::string human_size(std::uint64_t bytes);      // "1.2 GB", powers of 1024 as PostgreSQL's
std::string human_rate(std::uint64_t bytes);      // "1.2 GB/s"
std::string human_time(std::uint64_t seconds);    // "45 s", "3 min 20 s", "2 h 5 min"
// By strftime's `format`, in UTC; seconds since 1970.
std::string utc_time(std::int64_t seconds, const char* format);

}  // namespace standby_clone
