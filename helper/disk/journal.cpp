// journal.cpp: the journal as JSON.
#include "helper/disk/journal.h"

#include <nlohmann/json.hpp>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr int kVersion = 1;

}  // namespace

std::string Journal::to_text() const {
  nlohmann::ordered_json made = nlohmann::ordered_json::array();
  for (const auto& directory : directories)
    made.push_back({{"path", directory.path}, {"existed", directory.existed}});
  nlohmann::ordered_json root{
      {"pg_standby_clone", kVersion}, {"committed", is_committed}, {"directories", made}};
  // A path need not be UTF-8; it comes back as the bytes it was.
  return root.dump(2, ' ', false, nlohmann::json::error_handler_t::ignore) + "\n";
}

Journal Journal::from_text(const std::string& text, const std::string& path) {
  auto refuse = [&]() -> Journal {
    fail(Kind::kTargetRefused, "file \"" + path + "\" is not a journal of this pg_standby_clone",
         "If nothing in that directory is needed, empty it, then run the clone again.");
  };
  auto root = nlohmann::json::parse(text, nullptr, false);
  if (!root.is_object() || root.value("pg_standby_clone", 0) != kVersion) return refuse();
  Journal journal;
  try {
    journal.is_committed = root.at("committed").get<bool>();
    for (const auto& entry : root.at("directories")) {
      MadeDirectory made{entry.at("path").get<std::string>(), entry.at("existed").get<bool>()};
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
