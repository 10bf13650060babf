// text.h: bytes of any kind (a path, a system's message) as text that a database takes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace standby_clone {

// Control characters, and what is not UTF-8, as \xNN; with `only_ascii` whatever is not ASCII.
std::string readable(std::string_view bytes, bool only_ascii = false);

// At most `size` bytes, and no half letter at the end.
std::string cut(std::string text, std::size_t size);

}  // namespace standby_clone
