// tablespaces.cpp: a comparison of pg_tblspc at the backup's start with what is there at its end.
#include "extension/worker/tablespaces.h"

namespace tablespaces {
namespace {

Oid* known = nullptr;
int known_count = 0;

int collect(Oid** numbers) {
  int count = 0, room = 16;
  *numbers = static_cast<Oid*>(MemoryContextAlloc(TopMemoryContext, room * sizeof(Oid)));
  DIR* directory = opendir("pg_tblspc");
  if (directory == nullptr)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not open directory \"pg_tblspc\": %m"));
  while (dirent* item = readdir(directory)) {
    Oid number = static_cast<Oid>(strtoul(item->d_name, nullptr, 10));
    if (number == InvalidOid) continue;
    if (count == room) {
      room *= 2;
      *numbers = static_cast<Oid*>(repalloc(*numbers, room * sizeof(Oid)));
    }
    (*numbers)[count++] = number;
  }
  closedir(directory);
  return count;
}

}  // namespace

int remember() { return known_count = collect(&known); }

// Paths of the tablespaces that came after the start: replay will make them at the
// donor's own paths.
void note_new(char* text, std::size_t room) {
  Oid* now = nullptr;
  int count = collect(&now);
  for (int index = 0; index < count; ++index) {
    bool is_known = false;
    for (int old = 0; old < known_count; ++old)
      if (known[old] == now[index]) is_known = true;
    if (is_known) continue;
    char link[MAXPGPATH], target[MAXPGPATH];
    snprintf(link, sizeof(link), "pg_tblspc/%u", now[index]);
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    if (size <= 0) continue;
    target[size] = '\0';
    if (text[0] != '\0') strlcat(text, "\n", room);
    strlcat(text, target, room);
  }
  pfree(now);
}

}  // namespace tablespaces
