// rate.h: how a transfer rate is written, on the command line, in a request's options
// and in set_clone_rate(): as pg_basebackup's --max-rate.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace protocol {

inline constexpr std::uint32_t kRateMinKilobytes = 32;
inline constexpr std::uint32_t kRateMaxKilobytes = 1024 * 1024;

inline constexpr char kRateHint[] =
    "Give kilobytes per second, from 32 to 1048576, or a number with suffix k or M.";

// Bytes per second; nothing if `text` is no rate or not within the limits.
constexpr std::optional<std::uint64_t> parse_rate(std::string_view text) {
  std::size_t at = 0;
  double number = 0, scale = 1;
  auto take_digits = [&](bool is_fraction) {
    std::size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      number = number * 10 + (text[at] - '0');
      if (is_fraction) scale *= 10;
    }
    return at > begin;
  };
  if (text.size() > 20 || !take_digits(false)) return std::nullopt;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!take_digits(true)) return std::nullopt;
  }
  double kilobytes = number / scale;
  std::string_view suffix = text.substr(at);
  if (suffix == "M")
    kilobytes *= 1024;
  else if (!suffix.empty() && suffix != "k")
    return std::nullopt;
  if (!(kilobytes >= kRateMinKilobytes && kilobytes <= kRateMaxKilobytes)) return std::nullopt;
  return static_cast<std::uint64_t>(kilobytes * 1024);
}

}  // namespace protocol
