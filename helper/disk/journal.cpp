// journal.cpp: the journal as JSON.
#include "helper/disk/journal.h"

#include <nlohmann/json.hpp>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr int kVersion = 1;

// A path is any bytes, JSON holds UTF-8 only: each byte goes as the character of its
// number. A path that came back as another one would have that one emptied.
std::string to_utf8(const std::string& path) {
  std::string text;
  for (unsigned char byte : path) {
    if (byte >= 0x80) text += static_cast<char>(0xC0 | (byte >> 6));
    text += static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
  }
  return text;
}

// Empty if `text` holds a character that to_utf8() does not write.
std::string from_utf8(const std::string& text) {
  std::string path;
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80) {
      if ((byte & 0xFC) != 0xC0) return {};
      byte = static_cast<unsigned char>((byte << 6) | (text[++at] & 0x3F));
    }
    path += static_cast<char>(byte);
  }
  return path;
}

}  // namespace

std::string Journal::to_text() const {
  nlohmann::ordered_json made = nlohmann::ordered_json::array();
  for (const auto& directory : directories)
    made.push_back({{"path", to_utf8(directory.path)}, {"existed", directory.existed}});
  nlohmann::ordered_json root{
      {"pg_standby_clone", kVersion}, {"committed", is_committed}, {"directories", made}};
  return root.dump(2) + "\n";
}

Journal Journal::from_text(const std::string& text, const std::string& path) {
  auto refuse = [&]() -> Journal {
    fail(Kind::kTargetRefused, "file \"" + path + "\" is not a journal of this pg_standby_clone",
         "If nothing in that directory is needed, empty it, then run the clone again.");
  };
  auto root = nlohmann::json::parse(text, nullptr, false);
  Journal journal;
  try {
    if (root.at("pg_standby_clone").get<int>() != kVersion) return refuse();
    journal.is_committed = root.at("committed").get<bool>();
    for (const auto& entry : root.at("directories")) {
      MadeDirectory made{from_utf8(entry.at("path").get<std::string>()),
                         entry.at("existed").get<bool>()};
      if (made.path.empty() || made.path.front() != '/' || made.path == "/") return refuse();
      journal.directories.push_back(made);
    }
  } catch (const nlohmann::json::exception&) {
    return refuse();
  }
  if (journal.directories.empty()) return refuse();
  return journal;
}

}  // namespace standby_clone
