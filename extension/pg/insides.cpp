// insides.cpp: the server's shared memory and files, and how they differ between majors.
#include "extension/pg/insides.h"

namespace pg {

bool copy_slot(int index, Slot& slot) {
  ReplicationSlot* place = &ReplicationSlotCtl->replication_slots[index];
  if (!place->in_use) return false;
  SpinLockAcquire(&place->mutex);
  strlcpy(slot.name, NameStr(place->data.name), sizeof(slot.name));
#if PG_VERSION_NUM >= 190000
  slot.holder = place->active_proc == INVALID_PROC_NUMBER ? 0 : GetPGProcByNumber(place->active_proc)->pid;
#else
  slot.holder = place->active_pid;
#endif
  slot.is_logical = SlotIsLogical(place);
#if PG_VERSION_NUM >= 160000
  slot.is_lost = place->data.invalidated != RS_INVAL_NONE;
#else
  slot.is_lost = !XLogRecPtrIsInvalid(place->data.invalidated_at);
#endif
  slot.restart_lsn = place->data.restart_lsn;
  SpinLockRelease(&place->mutex);
  return true;
}

bool find_slot_at(int index, Slot& slot) {
  LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
  bool found = copy_slot(index, slot);
  LWLockRelease(ReplicationSlotControlLock);
  return found;
}

bool find_slot(const char* name, Slot& slot) {
  bool found = false;
  for_each_slot([&](const Slot& other) {
    if (std::strcmp(other.name, name) != 0) return;
    slot = other;
    found = true;
  });
  return found;
}

void check_slot_name(const char* name) {
#if PG_VERSION_NUM >= 190000
  ReplicationSlotValidateName(name, false, ERROR);
#else
  ReplicationSlotValidateName(name, ERROR);
#endif
}

namespace {

void acquire_slot(const char* name) {
#if PG_VERSION_NUM >= 180000
  ReplicationSlotAcquire(name, true, true);
#else
  ReplicationSlotAcquire(name, true);
#endif
}

}  // namespace

void set_slot(const char* name, XLogRecPtr restart_lsn) {
  acquire_slot(name);
  SpinLockAcquire(&MyReplicationSlot->mutex);
  MyReplicationSlot->data.restart_lsn = restart_lsn;
  SpinLockRelease(&MyReplicationSlot->mutex);
  ReplicationSlotMarkDirty();
  ReplicationSlotSave();
  ReplicationSlotsComputeRequiredLSN();
  ReplicationSlotRelease();
}

void persist_slot(const char* name) {
  acquire_slot(name);
  ReplicationSlotPersist();
  ReplicationSlotRelease();
}

void touch_slot(const char* name) {
  acquire_slot(name);
  ReplicationSlotRelease();
}

void release_slot() {
  if (MyReplicationSlot != nullptr) ReplicationSlotRelease();
}

void drop_slot(const char* name) { ReplicationSlotDrop(name, true); }

bool copy_wal_sender(int index, WalSender& sender) {
  WalSnd* place = &WalSndCtl->walsnds[index];
  SpinLockAcquire(&place->mutex);
  sender = {place->pid, place->state, place->flush, place->apply, place->flushLag};
  SpinLockRelease(&place->mutex);
  return sender.pid != 0;
}

ControlFileData read_control_file() {
  bool is_valid = false;
  LWLockAcquire(ControlFileLock, LW_SHARED);
  ControlFileData* read = get_controlfile(".", &is_valid);
  LWLockRelease(ControlFileLock);
  if (!is_valid)
    ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
            errmsg("calculated CRC checksum of pg_control does not match the value in the file"));
  ControlFileData control = *read;
  pfree(read);
  return control;
}

void make_lock(LWLock* lock, [[maybe_unused]] const char* name) {
#if PG_VERSION_NUM >= 190000
  LWLockInitialize(lock, LWLockNewTrancheId(name));
#else
  LWLockInitialize(lock, LWLockNewTrancheId());
#endif
}

void name_lock([[maybe_unused]] const LWLock* lock, [[maybe_unused]] const char* name) {
#if PG_VERSION_NUM < 190000
  LWLockRegisterTranche(lock->tranche, name);
#endif
}

std::uint32_t wait_for_client(std::uint32_t socket_events, long timeout_ms, std::uint32_t wait_event) {
  ModifyWaitEvent(FeBeWaitSet, FeBeWaitSetSocketPos, socket_events, nullptr);
  WaitEvent occurred;
  int count = WaitEventSetWait(FeBeWaitSet, timeout_ms, &occurred, 1, wait_event);
  return count == 1 ? occurred.events : 0;
}

bool server_is_stopping() {
  char content[1024];
  int file = open("postmaster.pid", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t size = read(file, content, sizeof(content) - 1);
  close(file);
  content[Max(size, ssize_t{0})] = '\0';
  const char* line = content;
  for (int number = 1; number < LOCK_FILE_LINE_PM_STATUS && line != nullptr; ++number) {
    line = std::strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return line != nullptr && std::strncmp(line, PM_STATUS_STOPPING, std::strlen(PM_STATUS_STOPPING)) == 0;
}

}  // namespace pg
