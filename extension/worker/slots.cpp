// slots.cpp: making, moving and dropping slots.
#include "extension/worker/slots.h"

#include "extension/pg/compat.h"

namespace slots {
namespace {

Datum name_datum(const char* name) {
  auto* value = static_cast<Name>(palloc0(NAMEDATALEN));
  namestrcpy(value, name);
  return NameGetDatum(value);
}

}  // namespace

Slot find(const char* name) {
  Slot found{};
  LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
  for (int index = 0; index < max_replication_slots; ++index) {
    ReplicationSlot* slot = &ReplicationSlotCtl->replication_slots[index];
    if (!slot->in_use || std::strcmp(NameStr(slot->data.name), name) != 0) continue;
    SpinLockAcquire(&slot->mutex);
    found.exists = true;
    found.is_active = slot->active_pid != 0 && slot->active_pid != MyProcPid;
    found.is_lost = compat::is_invalidated(*slot) || XLogRecPtrIsInvalid(slot->data.restart_lsn);
    found.restart_lsn = slot->data.restart_lsn;
    SpinLockRelease(&slot->mutex);
  }
  LWLockRelease(ReplicationSlotControlLock);
  return found;
}

void create_temporary(const char* name) {
  OidFunctionCall3(F_PG_CREATE_PHYSICAL_REPLICATION_SLOT, name_datum(name), BoolGetDatum(true),
                   BoolGetDatum(true));
}

void advance(const char* name, XLogRecPtr lsn) {
  if (lsn <= find(name).restart_lsn) return;
  OidFunctionCall2(F_PG_REPLICATION_SLOT_ADVANCE, name_datum(name), LSNGetDatum(lsn));
}

bool hand_over(const char* temporary, const char* name, bool given) {
  Slot source = find(temporary);
  Slot target = find(name);
  // A slot that holds less than the standby will ask for is as good as lost.
  bool is_usable = target.exists && !target.is_lost && target.restart_lsn <= source.restart_lsn;
  if (target.exists && is_usable) {
    advance(name, source.restart_lsn);
    return false;
  }
  // A slot somebody has just made for this clone, without reserving WAL, is also
  // here: it takes its place below.
  if (target.exists && given)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("replication slot \"%s\" no longer holds the WAL the standby needs", name),
            errhint("Drop it, and run the clone without --slot or with a slot that reserves WAL."));
  if (target.exists) drop(name);
  OidFunctionCall3(F_PG_COPY_PHYSICAL_REPLICATION_SLOT_NAME_NAME_BOOL, name_datum(temporary),
                   name_datum(name), BoolGetDatum(false));
  return true;
}

void drop(const char* name) { OidFunctionCall1(F_PG_DROP_REPLICATION_SLOT, name_datum(name)); }

}  // namespace slots
