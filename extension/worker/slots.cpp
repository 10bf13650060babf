// slots.cpp: making, moving and dropping slots.
#include "extension/worker/slots.h"

#include "extension/pg/insides.h"

namespace slots {
namespace {

Datum name_datum(const char* name) {
  auto* value = static_cast<Name>(palloc0(NAMEDATALEN));
  namestrcpy(value, name);
  return NameGetDatum(value);
}

// As it lies in the file.
struct Owner {
  XLogRecPtr restart_lsn;  // of the slot when it was made; a standby moves it on
  char target[NAMEDATALEN];
};

void owner_path(const char* name, char (&path)[MAXPGPATH]) {
  snprintf(path, sizeof(path), "pg_replslot/%s/standby_clone", name);
}

// Durable with the slot, whose directory is synced when it is made permanent.
void write_owner(const char* name, const char* target) {
  Owner owner{};
  owner.restart_lsn = find(name).restart_lsn;
  strlcpy(owner.target, target, sizeof(owner.target));
  char path[MAXPGPATH];
  owner_path(name, path);
  int file = OpenTransientFile(path, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY);
  errno = file < 0 ? errno : ENOSPC;  // of a write that is too short
  if (file < 0 || write(file, &owner, sizeof(owner)) != sizeof(owner) || pg_fsync(file) != 0 ||
      CloseTransientFile(file) != 0)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path));
}

}  // namespace

Slot find(const char* name) {
  pg::Slot slot;
  if (!pg::find_slot(name, slot)) return {};
  return {true, slot.holder != 0 && slot.holder != MyProcPid, slot.is_lost, slot.restart_lsn};
}

Consumer consumer_of(const char* name) {
  Consumer consumer{};
  pg::Slot slot;
  if (!pg::find_slot(name, slot) || slot.holder == 0) return consumer;
  pg::for_each_wal_sender([&](const pg::WalSender& sender) {
    if (sender.pid == slot.holder)
      consumer = {sender.state == WALSNDSTATE_STREAMING, sender.replayed};
  });
  return consumer;
}

bool find_owner(const char* name, char (&target)[NAMEDATALEN]) {
  char path[MAXPGPATH];
  owner_path(name, path);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  Owner owner{};
  bool is_read = read(file, &owner, sizeof(owner)) == sizeof(owner);
  close(file);
  Slot slot = find(name);
  if (!is_read || slot.is_active || (!slot.is_lost && slot.restart_lsn != owner.restart_lsn)) return false;
  strlcpy(target, owner.target, sizeof(target));
  return true;
}

void disown(const char* name) {
  char path[MAXPGPATH];
  owner_path(name, path);
  durable_unlink(path, LOG);
}

void drop_left_behind(const char* target, const char* given) {
  for (int index = 0; index < max_replication_slots; ++index) {
    pg::Slot slot;
    char owner[NAMEDATALEN];
    if (!pg::find_slot_at(index, slot) || !find_owner(slot.name, owner) || std::strcmp(owner, target) != 0) continue;
    if (std::strcmp(slot.name, given) == 0) {
      disown(slot.name);
      continue;
    }
    ereport(LOG, errmsg("pg_standby_clone: drops replication slot \"%s\", which an earlier clone to \"%s\" has left behind",
                        slot.name, target));
    pg::drop_slot(slot.name);
  }
}

void touch(const char* name) { pg::touch_slot(name); }

void create_temporary(const char* name) {
  OidFunctionCall3(F_PG_CREATE_PHYSICAL_REPLICATION_SLOT, name_datum(name), BoolGetDatum(true),
                   BoolGetDatum(true));
}

void advance(const char* name, XLogRecPtr lsn) {
  if (lsn <= find(name).restart_lsn) return;
  pg::set_slot(name, lsn);
}

bool hand_over(const char* temporary, const char* name, bool given, const char* owner) {
  Slot target = find(name);
  if (target.is_active)
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("replication slot \"%s\" came into use during the clone", name),
            errhint("Stop the standby that uses it, or choose another --name or --slot."));
  if (target.exists && !target.is_lost) {
    // Going back is safe, as the temporary slot holds that WAL.
    XLogRecPtr needed = find(temporary).restart_lsn;
    if (XLogRecPtrIsInvalid(target.restart_lsn) || target.restart_lsn > needed) pg::set_slot(name, needed);
    return false;
  }
  if (target.exists && given)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("replication slot \"%s\" was invalidated during the clone", name),
            errhint("Raise max_slot_wal_keep_size, or run the clone without --slot."));
  if (target.exists) drop(name);
  OidFunctionCall3(F_PG_COPY_PHYSICAL_REPLICATION_SLOT_NAME_NAME_BOOL, name_datum(temporary),
                   name_datum(name), BoolGetDatum(true));
  write_owner(name, owner);
  pg::persist_slot(name);
  return true;
}

void drop(const char* name) { OidFunctionCall1(F_PG_DROP_REPLICATION_SLOT, name_datum(name)); }

}  // namespace slots
