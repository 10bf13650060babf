// names.cpp: the rules of what travels, as in PostgreSQL's basebackup.c and the
// "Backing Up The Data Directory" chapter of its documentation.
#include "extension/catalogue/names.h"

#include <algorithm>
#include <array>

namespace catalogue {
namespace {

using namespace std::string_view_literals;
using protocol::is_digits;

// Their content belongs to the running server alone (trap 26); pg_wal comes over
// the WAL connection (trap 28).
constexpr std::array kContentLeftOut = {
    "pg_stat_tmp"sv, "pg_replslot"sv,  "pg_dynshmem"sv,           "pg_notify"sv,
    "pg_serial"sv,   "pg_snapshots"sv, "pg_subtrans"sv,           "pg_wal/archive_status"sv,
    "pg_wal"sv,      "pg_wal/summaries"sv};

// The other directories that initdb makes.
constexpr std::array kServersDirectories = {
    "base"sv,        "global"sv,    "pg_commit_ts"sv, "pg_logical"sv, "pg_multixact"sv,
    "pg_stat"sv,     "pg_tblspc"sv, "pg_twophase"sv,  "pg_xact"sv,    "pg_multixact/members"sv,
    "pg_multixact/offsets"sv, "pg_logical/mappings"sv, "pg_logical/snapshots"sv};

// Of them those whose files are named by hexadecimal numbers: of segments, of transactions.
constexpr std::array kNumbered = {"pg_commit_ts"sv, "pg_multixact/members"sv, "pg_multixact/offsets"sv,
                                  "pg_twophase"sv, "pg_xact"sv};

// Of the file system, wherever they show: what it found again, and its snapshots, which would
// multiply the cluster.
constexpr std::array kFileSystemsOwn = {"lost+found"sv, ".snapshot"sv, ".snapshots"sv, ".zfs"sv};

// Top-level files that describe the donor's process or role, not its data.
constexpr std::array kFilesLeftOut = {
    "postgresql.auto.conf.tmp"sv, "current_logfiles"sv, "current_logfiles.tmp"sv,
    "backup_label"sv,             "tablespace_map"sv,   "backup_manifest"sv,
    "backup_manifest.tmp"sv,      "postmaster.pid"sv,   "postmaster.opts"sv,
    "standby.signal"sv,           "recovery.signal"sv};

// Files of a clone: were the donor itself made by one, they say nothing here.
constexpr auto kOurPrefix = "pg_standby_clone."sv;

bool is_hexadecimal(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789ABCDEFabcdef") == std::string_view::npos;
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Splits at the first `separator`; `head` is all of `text` if there is none.
std::string_view take_until(std::string_view& text, char separator) {
  auto at = text.find(separator);
  auto head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return head;
}

}  // namespace

Place place_of(std::string_view path, std::string_view version_directory) {
  if (path.empty()) return Place::kTop;
  if (contains(kContentLeftOut, path)) return Place::kContentLeftOut;
  if (path == "global"sv) return Place::kGlobal;
  auto rest = path;
  auto first = take_until(rest, '/');
  if (first == "base"sv) return is_digits(rest) ? Place::kDatabase : Place::kOther;
  if (first != "pg_tblspc"sv) return Place::kOther;
  auto oid = take_until(rest, '/');
  if (oid.empty()) return Place::kOther;
  if (rest.empty()) return Place::kTablespaceRoot;
  auto version = take_until(rest, '/');
  return version == version_directory && is_digits(rest) ? Place::kDatabase : Place::kOther;
}

bool is_left_out(Place place, std::string_view name, std::string_view version_directory) {
  if (place == Place::kContentLeftOut) return true;
  if (place == Place::kTablespaceRoot) return name != version_directory;
  if (name.starts_with("pgsql_tmp"sv) || name.starts_with("pg_internal.init"sv) ||
      name == ".DS_Store"sv || contains(kFileSystemsOwn, name))
    return true;
  switch (place) {
    case Place::kTop:
      return contains(kFilesLeftOut, name) || name.starts_with(kOurPrefix);
    case Place::kGlobal:
      return name == "pg_filenode.map.tmp"sv;
    case Place::kDatabase:
      return name == "pg_filenode.map.tmp"sv || is_temporary_relation(name);
    default:
      return false;
  }
}

bool is_servers_own(std::string_view path, std::string_view version_directory) {
  if (contains(kServersDirectories, path) || contains(kContentLeftOut, path)) return true;
  const auto directory = directory_of(path), name = name_of(path);
  RelationName relation;
  switch (place_of(directory, version_directory)) {
    case Place::kTop:
      return name == "PG_VERSION"sv;
    case Place::kGlobal:
      return name == "pg_control"sv || name == "pg_filenode.map"sv ||
             parse_relation_name(name, relation);
    case Place::kDatabase:
      return name == "PG_VERSION"sv || name == "pg_filenode.map"sv ||
             parse_relation_name(name, relation);
    case Place::kTablespaceRoot:
      return name == version_directory;
    case Place::kContentLeftOut:
      return false;
    case Place::kOther:
      break;
  }
  if (place_of(path, version_directory) == Place::kDatabase ||
      place_of(path, version_directory) == Place::kTablespaceRoot)
    return is_digits(name);
  return (contains(kNumbered, directory) && is_hexadecimal(name)) ||
         path == "pg_logical/replorigin_checkpoint"sv ||
         (directory == "pg_logical/mappings"sv && name.starts_with("map-"sv)) ||
         (directory == "pg_logical/snapshots"sv && name.ends_with(".snap"sv)) ||
         (directory == "pg_stat"sv && name.ends_with(".stat"sv));
}

bool is_temporary_relation(std::string_view name) {
  if (!name.starts_with('t')) return false;
  auto underscore = name.find('_');
  RelationName parsed;
  return underscore != std::string_view::npos && is_digits(name.substr(1, underscore - 1)) &&
         parse_relation_name(name.substr(underscore + 1), parsed);
}

std::string_view directory_of(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace catalogue
