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

void touch(const char* name) { pg::touch_slot(name); }

void create_temporary(const char* name) {
  OidFunctionCall3(F_PG_CREATE_PHYSICAL_REPLICATION_SLOT, name_datum(name), BoolGetDatum(true),
                   BoolGetDatum(true));
}

void advance(const char* name, XLogRecPtr lsn) {
  if (lsn <= find(name).restart_lsn) return;
  OidFunctionCall2(F_PG_REPLICATION_SLOT_ADVANCE, name_datum(name), LSNGetDatum(lsn));
}

bool hand_over(const char* temporary, const char* name, bool given) {
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
                   name_datum(name), BoolGetDatum(false));
  return true;
}

void drop(const char* name) { OidFunctionCall1(F_PG_DROP_REPLICATION_SLOT, name_datum(name)); }

}  // namespace slots
