// text.cpp: UTF-8, letter by letter.
#include "helper/base/text.h"

#include <fmt/format.h>

namespace standby_clone {
namespace {

unsigned char at(std::string_view bytes, std::size_t index) {
  return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0;
}

// Bytes of the letter that begins here; 0: none does.
std::size_t letter_size(std::string_view bytes) {
  unsigned char first = at(bytes, 0), second = at(bytes, 1);
  if (first < 0x80) return 1;
  std::size_t size = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
                     : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  for (std::size_t index = 1; index < size; ++index)
    if ((at(bytes, index) & 0xc0) != 0x80) return 0;
  // Longer than need be, half of a pair, or beyond the last one.
  bool is_wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
                  (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
  return is_wrong ? 0 : size;
}

}  // namespace

std::string readable(std::string_view bytes, bool only_ascii) {
  std::string text;
  while (!bytes.empty()) {
    std::size_t size = letter_size(bytes);
    auto first = static_cast<unsigned char>(bytes[0]);
    bool is_control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7f;
    if (size == 0 || is_control || (only_ascii && size > 1)) {
      text += fmt::format("\\x{:02x}", first);
      size = 1;
    } else {
      text += bytes.substr(0, size);
    }
    bytes.remove_prefix(size);
  }
  return text;
}

std::string cut(std::string text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size);
  return text;
}

}  // namespace standby_clone
