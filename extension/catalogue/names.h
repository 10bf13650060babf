// names.h: which names in a data directory travel, and what they are. Pure text
// rules, no server header, so that the unit tests reach them. One set of rules
// serves the list and each request that names a path.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/path.h"
#include "protocol/relation.h"

namespace catalogue {

using protocol::is_clean_path;
using protocol::parse_relation_name;
using protocol::RelationName;

enum class Place : std::uint8_t {
  kOther,           // any directory without rules of its own
  kTop,             // the data directory
  kGlobal,          // global/
  kDatabase,        // base/OID, and PG_*/OID of a tablespace
  kTablespaceRoot,  // pg_tblspc/OID: only the server's own PG_<major>_<catversion>
  kContentLeftOut,  // the directory travels, nothing in it (traps 26 and 28)
};

// Where in a data directory the directory `path` lies ("" is the data directory).
// `version_directory` is the server's PG_<major>_<catversion>.
Place place_of(std::string_view path, std::string_view version_directory);

// Does the entry `name` of a directory at `place` stay behind? Traps 24 to 27, 29,
// 31, 33, 85; a file system's own directories. `version_directory` as above.
bool is_left_out(Place place, std::string_view name, std::string_view version_directory);

// Does the server itself make what has this path, and need it: "base", "base/5", "base/5/16384.1",
// "pg_xact/0000"? Anything else may be anybody's. `version_directory` as above.
bool is_servers_own(std::string_view path, std::string_view version_directory);

// "t3_16384", with fork and segment: a temporary relation (trap 31).
bool is_temporary_relation(std::string_view name);

// Directory and last name of a clean path.
std::string_view directory_of(std::string_view path);
std::string_view name_of(std::string_view path);

}  // namespace catalogue
