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

// Sets what an unused slot holds: forward, back, or for the first time (a slot made without
// reserving WAL), none of which SQL can do but the first. Going back is safe as the
// temporary slot holds that WAL.
void take_over(const char* name, XLogRecPtr lsn) {
  compat::acquire_slot(name);
  SpinLockAcquire(&MyReplicationSlot->mutex);
  MyReplicationSlot->data.restart_lsn = lsn;
  SpinLockRelease(&MyReplicationSlot->mutex);
  ReplicationSlotMarkDirty();
  ReplicationSlotSave();
  ReplicationSlotsComputeRequiredLSN();
  ReplicationSlotRelease();
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
    found.is_lost = compat::is_invalidated(*slot);
    found.restart_lsn = slot->data.restart_lsn;
    SpinLockRelease(&slot->mutex);
  }
  LWLockRelease(ReplicationSlotControlLock);
  return found;
}

Consumer consumer_of(const char* name) {
  Consumer consumer{};
  pid_t holder = 0;
  LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
  for (int index = 0; index < max_replication_slots; ++index) {
    ReplicationSlot* slot = &ReplicationSlotCtl->replication_slots[index];
    if (!slot->in_use || std::strcmp(NameStr(slot->data.name), name) != 0) continue;
    SpinLockAcquire(&slot->mutex);
    holder = slot->active_pid;
    SpinLockRelease(&slot->mutex);
  }
  LWLockRelease(ReplicationSlotControlLock);
  for (int index = 0; holder != 0 && index < max_wal_senders; ++index) {
    WalSnd* sender = &WalSndCtl->walsnds[index];
    SpinLockAcquire(&sender->mutex);
    if (sender->pid == holder)
      consumer = {sender->state == WALSNDSTATE_STREAMING, sender->apply};
    SpinLockRelease(&sender->mutex);
  }
  return consumer;
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
  Slot target = find(name);
  if (target.exists && !target.is_lost) {
    take_over(name, find(temporary).restart_lsn);
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
