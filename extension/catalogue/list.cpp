// list.cpp: walking the data directory, and checking paths by the same rules.
#include "extension/catalogue/list.h"

#include "extension/catalogue/names.h"
#include "extension/pg/text.h"

namespace catalogue {
namespace {

using protocol::Entry;
using protocol::EntryKind;

// "log" or whatever log_directory says, if it lies inside the data directory: the
// donor's messages are not the standby's.
bool is_log_directory(std::string_view path) {
  std::string_view setting = view(Log_directory);
  while (setting.starts_with("./")) setting.remove_prefix(2);
  while (setting.ends_with('/')) setting.remove_suffix(1);
  return is_clean_path(setting) && path == setting;
}

Place place(std::string_view path) {
  return is_log_directory(path) ? Place::kContentLeftOut
                                : place_of(path, TABLESPACE_VERSION_DIRECTORY);
}

bool holds_relations(Place where) { return where == Place::kDatabase || where == Place::kGlobal; }

struct Walk {
  Emit emit;
  void* context;
  char path[MAXPGPATH];  // of the directory or file in hand
};
static_assert(std::is_trivially_destructible_v<Walk>);

int compare_numbers(const void* left, const void* right) {
  Oid a = *static_cast<const Oid*>(left), b = *static_cast<const Oid*>(right);
  return a < b ? -1 : a > b;
}

// The relfilenumbers with an init fork: all other forks of these are empty after
// recovery and stay behind (trap 30).
struct UnloggedRelations {
  Oid* numbers;
  int count;

  bool contains(Oid number) const {
    return count > 0 && bsearch(&number, numbers, count, sizeof(Oid), compare_numbers) != nullptr;
  }
};

Oid number_of(std::string_view digits) {
  Oid number = 0;
  for (char digit : digits) number = number * 10 + (digit - '0');
  return number;
}

// NULL when the directory is gone.
DIR* open_directory(const char* path) {
  DIR* directory = AllocateDir(path);
  if (directory == nullptr && errno != ENOENT)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not open directory \"%s\": %m", path));
  return directory;
}

const char* path_or_dot(const char* path) { return path[0] == '\0' ? "." : path; }

UnloggedRelations find_unlogged(const char* path) {
  UnloggedRelations found{nullptr, 0};
  int room = 0;
  DIR* directory = open_directory(path);
  if (directory == nullptr) return found;
  while (dirent* item = ReadDir(directory, path)) {
    RelationName name;
    if (!parse_relation_name(item->d_name, name) || name.fork != "init") continue;
    if (found.count == room) {
      room = room == 0 ? 64 : room * 2;
      found.numbers = found.numbers == nullptr
                          ? static_cast<Oid*>(palloc(room * sizeof(Oid)))
                          : static_cast<Oid*>(repalloc(found.numbers, room * sizeof(Oid)));
    }
    found.numbers[found.count++] = number_of(name.relation);
  }
  FreeDir(directory);
  if (found.count > 0) qsort(found.numbers, found.count, sizeof(Oid), compare_numbers);
  return found;
}

void emit(Walk& walk, EntryKind kind, const struct stat& status, const char* target = "") {
  Entry entry;
  entry.kind = kind;
  entry.mode = status.st_mode & 07777;
  bool is_file = kind == EntryKind::kFile || kind == EntryKind::kRelationFile ||
                 kind == EntryKind::kControlFile;
  entry.size = is_file ? status.st_size : 0;
  entry.modified = status.st_mtime;
  entry.path = view(walk.path);
  entry.target = view(target);
  walk.emit(walk.context, entry);
}

void walk_directory(Walk& walk);

// A link or a directory of pg_tblspc/.
void walk_tablespace(Walk& walk, const struct stat& status) {
  if (S_ISDIR(status.st_mode)) {
    emit(walk, EntryKind::kInPlaceTablespace, status);  // trap 35
    walk_directory(walk);
    return;
  }
  char target[MAXPGPATH];
  ssize_t size = readlink(walk.path, target, sizeof(target) - 1);
  if (size < 0) {
    if (errno == ENOENT) return;
    ereport(ERROR, errcode_for_file_access(),
            errmsg("could not read symbolic link \"%s\": %m", walk.path));
  }
  target[size] = '\0';
  emit(walk, EntryKind::kTablespace, status, target);
  walk_directory(walk);
}

// Is this directory inside the data directory the home of a tablespace, which is
// walked through its link (trap 36)?
bool is_tablespace_home(const char* path) {
  DIR* links = open_directory("pg_tblspc");
  if (links == nullptr) return false;
  bool found = false;
  char absolute[MAXPGPATH * 2];
  snprintf(absolute, sizeof(absolute), "%s/%s", DataDir, path);
  while (dirent* item = ReadDir(links, "pg_tblspc")) {
    char link[MAXPGPATH], target[MAXPGPATH];
    snprintf(link, sizeof(link), "pg_tblspc/%s", item->d_name);
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    if (size < 0) continue;
    target[size] = '\0';
    if (strcmp(target, absolute) == 0) found = true;
  }
  FreeDir(links);
  return found;
}

void walk_entry(Walk& walk, Place where, std::string_view name,
                const UnloggedRelations& unlogged) {
  struct stat status;
  if (lstat(walk.path, &status) != 0) {
    if (errno == ENOENT) return;
    ereport(ERROR, errcode_for_file_access(), errmsg("could not stat \"%s\": %m", walk.path));
  }
  bool in_tablespaces = directory_of(view(walk.path)) == "pg_tblspc";
  if (in_tablespaces && (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode)))
    return walk_tablespace(walk, status);
  // pg_wal, and directories whose content stays behind, may be links: the standby
  // gets real ones.
  Place inside = place(view(walk.path));
  if (inside == Place::kContentLeftOut && S_ISLNK(status.st_mode)) {
    if (stat(walk.path, &status) != 0 || !S_ISDIR(status.st_mode)) return;
    status.st_mode = S_IFDIR | pg_dir_create_mode;
  }
  if (S_ISDIR(status.st_mode)) {
    if (where == Place::kTop && is_tablespace_home(walk.path)) return;
    emit(walk, EntryKind::kDirectory, status);
    if (inside != Place::kContentLeftOut) walk_directory(walk);
    return;
  }
  if (!S_ISREG(status.st_mode)) return emit(walk, EntryKind::kSkipped, status);
  if (where == Place::kGlobal && name == "pg_control")
    return emit(walk, EntryKind::kControlFile, status);
  RelationName relation;
  if (!holds_relations(where) || !parse_relation_name(name, relation))
    return emit(walk, EntryKind::kFile, status);
  if (relation.fork != "init" && unlogged.contains(number_of(relation.relation))) return;
  emit(walk, EntryKind::kRelationFile, status);
}

void walk_directory(Walk& walk) {
  CHECK_FOR_INTERRUPTS();
  const std::size_t length = std::strlen(walk.path);
  const Place where = place(view(walk.path));
  MemoryContext names =
      AllocSetContextCreate(CurrentMemoryContext, "clone directory", ALLOCSET_SMALL_SIZES);
  MemoryContext outer = MemoryContextSwitchTo(names);
  UnloggedRelations unlogged{nullptr, 0};
  if (holds_relations(where)) unlogged = find_unlogged(walk.path);
  MemoryContextSwitchTo(outer);

  DIR* directory = open_directory(path_or_dot(walk.path));
  while (directory != nullptr) {
    dirent* item = ReadDir(directory, path_or_dot(walk.path));
    if (item == nullptr) break;
    std::string_view name = view(item->d_name);
    if (name == "." || name == ".." || is_left_out(where, name, TABLESPACE_VERSION_DIRECTORY))
      continue;
    int wrote = snprintf(walk.path + length, sizeof(walk.path) - length, "%s%s",
                         length == 0 ? "" : "/", item->d_name);
    bool fits = wrote > 0 && static_cast<std::size_t>(wrote) < sizeof(walk.path) - length;
    if (fits && is_clean_path(view(walk.path)))
      walk_entry(walk, where, name, unlogged);
    else
      ereport(WARNING, errmsg("a file of directory \"%s\" has a name that cannot travel",
                              path_or_dot(walk.path)));
    walk.path[length] = '\0';
  }
  if (directory != nullptr) FreeDir(directory);
  MemoryContextDelete(names);
}

// pg_wal itself is on the walk; what a server needs inside it is not.
void emit_wal_directories(Walk& walk) {
  for (const char* path : {"pg_wal/archive_status", "pg_wal/summaries"}) {
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) continue;
    strlcpy(walk.path, path, sizeof(walk.path));
    emit(walk, EntryKind::kDirectory, status);
    walk.path[0] = '\0';
  }
}

[[noreturn]] void refuse(const char* path, const char* why) {
  ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
          errmsg("a clone cannot read \"%s\": %s", path, why));
  pg_unreachable();
}

// Every directory on the way must be a real one, but for the links of pg_tblspc/.
// The last way checked is remembered: requests come directory by directory.
void check_way(const char* path) {
  static char checked[MAXPGPATH];
  std::string_view directory = directory_of(view(path));
  if (directory == view(checked)) return;
  char way[MAXPGPATH];
  for (std::size_t end = directory.find('/');; end = directory.find('/', end + 1)) {
    std::string_view part = directory.substr(0, end);
    std::memcpy(way, part.data(), part.size());
    way[part.size()] = '\0';
    struct stat status;
    if (part.empty()) {
      // A file of the data directory itself.
    } else if (lstat(way, &status) != 0) {
      if (errno == ENOENT) return;  // gone with all that is in it
      ereport(ERROR, errcode_for_file_access(), errmsg("could not stat \"%s\": %m", way));
    } else if (S_ISLNK(status.st_mode) ? directory_of(part) != "pg_tblspc"
                                       : !S_ISDIR(status.st_mode)) {
      refuse(path, "it lies behind a link");
    }
    if (end == std::string_view::npos) break;
  }
  std::memcpy(checked, directory.data(), directory.size());
  checked[directory.size()] = '\0';
}

}  // namespace

void list_files(Emit emit_entry, void* context) {
  Walk walk{emit_entry, context, {}};
  walk_directory(walk);
  emit_wal_directories(walk);
}

Readable check_readable(const char* path) {
  std::string_view whole = view(path);
  if (!is_clean_path(whole)) refuse(path, "not a path of a data directory");
  for (std::size_t begin = 0, end = 0; end != std::string_view::npos; begin = end + 1) {
    end = whole.find('/', begin);
    std::string_view name = whole.substr(begin, end == std::string_view::npos ? end : end - begin);
    std::string_view parent = begin == 0 ? std::string_view{} : whole.substr(0, begin - 1);
    if (is_left_out(place(parent), name, TABLESPACE_VERSION_DIRECTORY))
      refuse(path, "it does not travel");
  }
  check_way(path);
  Place where = place(directory_of(whole));
  std::string_view name = name_of(whole);
  if (where == Place::kGlobal && name == "pg_control")
    return {protocol::EntryKind::kControlFile, false, 0, InvalidOid};
  RelationName relation;
  if (!holds_relations(where) || !parse_relation_name(name, relation))
    return {protocol::EntryKind::kFile, false, 0, InvalidOid};
  Oid database =
      where == Place::kDatabase ? number_of(name_of(directory_of(whole))) : InvalidOid;
  return {protocol::EntryKind::kRelationFile, true, relation.segment * RELSEG_SIZE, database};
}

}  // namespace catalogue
