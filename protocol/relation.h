// relation.h: the names of relations' files, which the donor lists by and the helper knows forks by.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace protocol {

// A run of decimal digits.
constexpr bool is_digits(std::string_view text) {
  for (char letter : text)
    if (letter < '0' || letter > '9') return false;
  return !text.empty();
}

struct RelationName {
  std::string_view relation;  // relfilenumber in digits
  std::string_view fork;      // "", "fsm", "vm", "init"
  std::uint32_t segment = 0;
};

// Takes "16384", "16384_fsm", "16384.1", "16384_vm.2" apart. False for any other
// name.
inline bool parse_relation_name(std::string_view name, RelationName& parsed) {
  auto dot = name.find('.');
  auto stem = name.substr(0, dot);
  parsed = {};
  if (dot != std::string_view::npos) {
    auto digits = name.substr(dot + 1);
    if (!is_digits(digits) || digits.front() == '0' || digits.size() > 9) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), parsed.segment);
  }
  auto underscore = stem.find('_');
  parsed.relation = stem.substr(0, underscore);
  if (!is_digits(parsed.relation) || parsed.relation.front() == '0') return false;
  if (underscore == std::string_view::npos) return true;
  parsed.fork = stem.substr(underscore + 1);
  return parsed.fork == "fsm" || parsed.fork == "vm" || parsed.fork == "init";
}

// A segment of a main fork, as WAL names it.
struct MainFork {
  std::uint32_t tablespace = 0, database = 0, relation = 0, segment = 0;
};

// The oids of pg_default and pg_global (catalog/pg_tablespace.dat).
inline constexpr std::uint32_t kDefaultTablespace = 1663, kGlobalTablespace = 1664;

// Of a path as it comes in the list: "base/5/16384.1", "global/1260", "pg_tblspc/16500/PG_15_202209061/5/16384".
// None for other forks, and for whatever is no relation.
inline std::optional<MainFork> main_fork_of(std::string_view path) {
  auto take = [&](std::string_view& name) {
    auto slash = path.find('/');
    if (slash == std::string_view::npos) return false;
    name = path.substr(0, slash);
    path.remove_prefix(slash + 1);
    return true;
  };
  auto number = [](std::string_view text, std::uint32_t& value) {
    if (!is_digits(text)) return false;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
  };
  MainFork fork;
  std::string_view root, name;
  if (!take(root)) return std::nullopt;
  if (root == "global") {
    fork.tablespace = kGlobalTablespace;
  } else {
    fork.tablespace = kDefaultTablespace;
    if (root == "pg_tblspc") {
      std::string_view version;
      if (!take(name) || !number(name, fork.tablespace) || !take(version) || !version.starts_with("PG_"))
        return std::nullopt;
    } else if (root != "base") {
      return std::nullopt;
    }
    if (!take(name) || !number(name, fork.database)) return std::nullopt;
  }
  RelationName parsed;
  if (!parse_relation_name(path, parsed) || !parsed.fork.empty() || !number(parsed.relation, fork.relation))
    return std::nullopt;
  fork.segment = parsed.segment;
  return fork;
}

}  // namespace protocol
