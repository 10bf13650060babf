// compat.cpp: differences between the supported servers.
#include "extension/pg/compat.h"

namespace compat {

std::uint32_t wait_event(const char* name) {
#if PG_VERSION_NUM >= 170000
  return WaitEventExtensionNew(name);
#else
  (void)name;
  return PG_WAIT_EXTENSION;
#endif
}

bool is_invalidated(const ReplicationSlot& slot) {
#if PG_VERSION_NUM >= 160000
  return slot.data.invalidated != RS_INVAL_NONE;
#else
  return !XLogRecPtrIsInvalid(slot.data.invalidated_at);
#endif
}

void acquire_slot(const char* name) {
#if PG_VERSION_NUM >= 180000
  ReplicationSlotAcquire(name, true, true);
#else
  ReplicationSlotAcquire(name, true);
#endif
}

}  // namespace compat
