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

bool is_own(const char* path) { return is_servers_own(view(path), TABLESPACE_VERSION_DIRECTORY); }

struct Walk {
  Emit emit;
  Turn turn;
  void* context;
  bool is_over;          // by the turn's word
  char path[MAXPGPATH];  // of the directory or file in hand
  bool is_behind_link;   // one that stands in the place of what is the server's own
  // Directories that a tablespace is walked through (trap 36).
  struct Home {
    dev_t device;
    ino_t number;
  } *homes;
  int home_count;
};
static_assert(std::is_trivially_destructible_v<Walk>);

bool take_turn(Walk& walk) {
  if (!walk.is_over) walk.is_over = !walk.turn(walk.context);
  return !walk.is_over;
}

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

UnloggedRelations find_unlogged(Walk& walk) {
  UnloggedRelations found{nullptr, 0};
  int room = 0;
  DIR* directory = open_directory(walk.path);
  if (directory == nullptr) return found;
  while (dirent* item = ReadDir(directory, walk.path)) {
    if (!take_turn(walk)) break;
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

// Nothing of the server's own stays behind, nor is it found only in the middle of the copy that it would.
[[noreturn]] void refuse_own(const char* path, const char* why) {
  ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
          errmsg("\"%s\" of the data directory %s: a clone without it would be corrupt", path, why));
  pg_unreachable();
}

// Is the place a tablespace's link leads to this server's? DROP TABLESPACE takes first the directory in
// it away, then the link: one that stays without it is of a disk that is not there. False if it is gone.
bool has_content(const char* link) {
  char path[MAXPGPATH * 2];
  snprintf(path, sizeof(path), "%s/" TABLESPACE_VERSION_DIRECTORY, link);
  struct stat status;
  if (stat(path, &status) == 0) return true;
  pg_usleep(100 * 1000);  // once, where the clone is about to be refused
  if (stat(path, &status) == 0) return true;
  if (lstat(link, &status) != 0 && errno == ENOENT) return false;
  refuse_own(link, "leads to a place without a directory " TABLESPACE_VERSION_DIRECTORY);
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
  if (!has_content(walk.path)) return;
  emit(walk, EntryKind::kTablespace, status, target);
  walk_directory(walk);
}

// The places of tablespaces, and in each the directory of this server: wherever else the walk meets
// them, they are left to the links of pg_tblspc/.
void find_homes(Walk& walk) {
  DIR* links = open_directory("pg_tblspc");
  if (links == nullptr) return;
  int room = 0;
  while (dirent* item = ReadDir(links, "pg_tblspc")) {
    if (item->d_name[0] == '.') continue;
    for (const char* below : {"", "/" TABLESPACE_VERSION_DIRECTORY}) {
      char path[MAXPGPATH * 2];
      snprintf(path, sizeof(path), "pg_tblspc/%s%s", item->d_name, below);
      struct stat status;
      if (stat(path, &status) != 0) continue;
      if (walk.home_count == room) {
        room = room == 0 ? 16 : room * 2;
        std::size_t size = room * sizeof(Walk::Home);
        walk.homes = static_cast<Walk::Home*>(walk.homes == nullptr ? palloc(size)
                                                                    : repalloc(walk.homes, size));
      }
      walk.homes[walk.home_count++] = {status.st_dev, status.st_ino};
    }
  }
  FreeDir(links);
}

bool is_home(const Walk& walk, const struct stat& status) {
  for (int index = 0; index < walk.home_count; ++index)
    if (walk.homes[index].device == status.st_dev && walk.homes[index].number == status.st_ino)
      return true;
  return false;
}

bool is_readable(const char* path, const struct stat& status) {
  bool is_directory = S_ISDIR(status.st_mode);
  mode_t needed = is_directory ? S_IRUSR | S_IXUSR : S_IRUSR;
  if (status.st_uid == geteuid() && (status.st_mode & needed) == needed) return true;
  return access(path, is_directory ? R_OK | X_OK : R_OK) == 0 || errno == ENOENT;
}

// A link in the place of what is the server's own is followed, as the server does; behind it nothing
// but that travels. `status` becomes that of what it leads to. False if it is gone.
bool follow(const char* path, struct stat& status) {
  if (stat(path, &status) == 0) return true;
  if (errno == ENOENT && lstat(path, &status) != 0) return false;
  refuse_own(path, "is a link that leads nowhere");
}

void walk_entry(Walk& walk, Place where, std::string_view name,
                const UnloggedRelations& unlogged) {
  struct stat status;
  if (lstat(walk.path, &status) != 0) {
    if (errno == ENOENT) return;
    ereport(ERROR, errcode_for_file_access(), errmsg("could not stat \"%s\": %m", walk.path));
  }
  const bool own = is_own(walk.path);
  if (own && directory_of(view(walk.path)) == "pg_tblspc" &&
      (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode)))
    return walk_tablespace(walk, status);
  // pg_wal, and directories whose content stays behind, may be links: the standby
  // gets real ones.
  if (place(view(walk.path)) == Place::kContentLeftOut) {
    if (S_ISLNK(status.st_mode)) status.st_mode = S_IFDIR | pg_dir_create_mode;
    return emit(walk, S_ISDIR(status.st_mode) ? EntryKind::kDirectory : EntryKind::kSkipped, status);
  }
  const bool is_link = S_ISLNK(status.st_mode);
  if (own && is_link && !follow(walk.path, status)) return;
  const bool is_directory = S_ISDIR(status.st_mode);
  if (!own && is_directory && is_home(walk, status)) return;
  const char* hindrance = !is_directory && !S_ISREG(status.st_mode)
                              ? is_link ? "is a link" : "is a special file"
                          : !is_readable(walk.path, status) ? "cannot be read by the server"
                          : !own && walk.is_behind_link     ? "lies behind a link"
                                                            : nullptr;
  if (hindrance != nullptr && own) refuse_own(walk.path, hindrance);
  if (hindrance != nullptr) return emit(walk, EntryKind::kSkipped, status, hindrance);
  if (is_directory) {
    emit(walk, EntryKind::kDirectory, status);
    const bool was_behind_link = walk.is_behind_link;
    walk.is_behind_link |= is_link;
    walk_directory(walk);
    walk.is_behind_link = was_behind_link;
    return;
  }
  if (where == Place::kGlobal && name == "pg_control")
    return emit(walk, EntryKind::kControlFile, status);
  RelationName relation;
  if (!holds_relations(where) || !parse_relation_name(name, relation))
    return emit(walk, EntryKind::kFile, status);
  if (relation.fork != "init" && unlogged.contains(number_of(relation.relation))) return;
  emit(walk, EntryKind::kRelationFile, status);
}

void walk_directory(Walk& walk) {
  const std::size_t length = std::strlen(walk.path);
  const Place where = place(view(walk.path));
  MemoryContext names =
      AllocSetContextCreate(CurrentMemoryContext, "clone directory", ALLOCSET_SMALL_SIZES);
  MemoryContext outer = MemoryContextSwitchTo(names);
  UnloggedRelations unlogged{nullptr, 0};
  if (holds_relations(where)) unlogged = find_unlogged(walk);
  MemoryContextSwitchTo(outer);

  DIR* directory = open_directory(path_or_dot(walk.path));
  while (directory != nullptr && take_turn(walk)) {
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
      ereport(LOG, errmsg("pg_standby_clone: a file of directory \"%s\" has a name that cannot travel",
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

// Every directory on the way must be a real one, but for the links of pg_tblspc/ and those that the
// list follows too. The last way checked is remembered: requests come directory by directory.
void check_way(const char* path) {
  static char checked[MAXPGPATH];
  static bool own_only;
  std::string_view directory = directory_of(view(path));
  if (directory == view(checked)) {
    if (own_only && !is_own(path)) refuse(path, "it lies behind a link");
    return;
  }
  bool followed = false;
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
    } else if (S_ISLNK(status.st_mode)) {
      if (!is_own(way)) refuse(path, "it lies behind a link");
      followed |= directory_of(part) != "pg_tblspc";
    } else if (!S_ISDIR(status.st_mode)) {
      refuse(path, "it lies behind what is no directory");
    }
    if (end == std::string_view::npos) break;
  }
  if (followed && !is_own(path)) refuse(path, "it lies behind a link");
  own_only = followed;
  std::memcpy(checked, directory.data(), directory.size());
  checked[directory.size()] = '\0';
}

}  // namespace

void list_files(Emit emit_entry, Turn turn, void* context) {
  Walk walk{};
  walk.emit = emit_entry;
  walk.turn = turn;
  walk.context = context;
  find_homes(walk);
  walk_directory(walk);
  if (!walk.is_over) emit_wal_directories(walk);
  if (walk.homes != nullptr) pfree(walk.homes);
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
  const bool own = is_own(path);
  if (where == Place::kGlobal && name == "pg_control")
    return {protocol::EntryKind::kControlFile, false, 0, own, InvalidOid};
  RelationName relation;
  if (!holds_relations(where) || !parse_relation_name(name, relation))
    return {protocol::EntryKind::kFile, false, 0, own, InvalidOid};
  Oid database =
      where == Place::kDatabase ? number_of(name_of(directory_of(whole))) : InvalidOid;
  return {protocol::EntryKind::kRelationFile, true, relation.segment * RELSEG_SIZE, own, database};
}

}  // namespace catalogue
