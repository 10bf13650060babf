// encryption.cpp: pg_tde (Percona), whose server encrypts some relations and, if told so, the WAL; and
// others, by the settings that they alone have.
#include "extension/pg/encryption.h"

namespace pg {
namespace {

constexpr char kTdeDirectory[] = "pg_tde";

const char* setting(const char* name) {
  const char* value = GetConfigOption(name, true, false);
  return value == nullptr ? "" : value;
}

bool has_tde() {
  struct stat status;
  return std::strstr(setting("shared_preload_libraries"), "pg_tde") != nullptr ||
         (stat(kTdeDirectory, &status) == 0 && S_ISDIR(status.st_mode));
}

bool is_key_file(const char* name) {
  std::size_t digits = std::strspn(name, "0123456789");
  return digits > 0 && std::strcmp(name + digits, "_keys") == 0;
}

// Keys of any database's relations: that this is where they are kept.
bool has_key_files() {
  DIR* directory = AllocateDir(kTdeDirectory);
  if (directory == nullptr) return false;
  bool found = false;
  while (dirent* entry = ReadDirExtended(directory, kTdeDirectory, LOG))
    found |= is_key_file(entry->d_name);
  FreeDir(directory);
  return found;
}

}  // namespace

Encryption find_encryption() {
  if (has_tde()) {
    bool wal = false;
    if (parse_bool(setting("pg_tde.wal_encrypt"), &wal) && wal)
      return {"pg_tde",
              "WAL is encrypted on this server (pg_tde.wal_encrypt = on): a clone would hold plain WAL beside "
              "the keys for encrypted WAL, and its server could not read it",
              "Use pg_tde_basebackup with --encrypt-wal, or set pg_tde.wal_encrypt = off and restart the server."};
    return {"pg_tde", nullptr, nullptr};
  }
  struct {
    const char* by;
    const char* setting;
  } constexpr kWholeClusters[] = {{"EDB's Transparent Data Encryption", "data_encryption_key_unwrap_command"},
                                  {"CYBERTEC's PGEE", "encryption_key_command"},
                                  {"Fujitsu Enterprise Postgres", "keystore_location"}};
  for (const auto& other : kWholeClusters)
    if (setting(other.setting)[0] != '\0')
      return {other.by,
              psprintf("the files of this cluster are encrypted by %s (%s is set), which a clone does not know",
                       other.by, other.setting),
              "Use the way of making standbys that its documentation describes."};
  return {};
}

bool has_plain_pages(const char* path) {
  if (!has_tde()) return true;
  // base/DATABASE/FILE, pg_tblspc/OID/VERSION/DATABASE/FILE; what is in global is never encrypted.
  const char* file = std::strrchr(path, '/');
  const char* database = file;
  while (database != nullptr && database > path && database[-1] != '/') --database;
  if (database == nullptr || database == path) return true;
  char keys[MAXPGPATH];
  snprintf(keys, sizeof(keys), "%s/%.*s_keys", kTdeDirectory, static_cast<int>(file - database), database);
  struct stat status;
  if (stat(keys, &status) == 0) return false;
  // A database without keys has nothing encrypted, if keys are where this looks for them.
  return has_key_files();
}

}  // namespace pg
