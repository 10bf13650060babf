// path.h: what a path on the wire may look like. The donor checks requests with it,
// the helper checks the list.
#pragma once

#include <string_view>

#include "limits.h"

namespace protocol {

// Relative, shorter than kPathMax, '/' between names; no empty name, ".", "..",
// zero or control byte.
constexpr bool is_clean_path(std::string_view path) {
  if (path.empty() || path.size() >= kPathMax) return false;
  for (char letter : path)
    if (static_cast<unsigned char>(letter) < 0x20) return false;
  while (true) {
    auto slash = path.find('/');
    auto name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace protocol
