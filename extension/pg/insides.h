// insides.h: what no function of the server shows: slots, WAL senders, pg_control, the tranche of a
// lock, the socket to the client, postmaster.pid. One accessor each, and nobody else touches them:
// whoever brings a new major looks here and at compat.h.
//
// What a callback gets is a copy: it may do as it likes, but must not raise an error in for_each_slot,
// whose lock it would keep.
#pragma once

#include "extension/pg/server.h"

namespace pg {

// --- slots ----------------------------------------------------------------------

struct Slot {
  char name[NAMEDATALEN];
  pid_t holder;            // 0: not in use by any process
  bool is_logical;
  bool is_lost;            // invalidated: its WAL may be gone, or it was idle for too long (18)
  XLogRecPtr restart_lsn;  // invalid: no WAL reserved yet
};

// The slot at `index` of max_replication_slots; false if there is none. Under ReplicationSlotControlLock.
bool copy_slot(int index, Slot& slot);

template <class Look>
void for_each_slot(Look look) {
  LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
  Slot slot;
  for (int index = 0; index < max_replication_slots; ++index)
    if (copy_slot(index, slot)) look(slot);
  LWLockRelease(ReplicationSlotControlLock);
}

// As copy_slot(), which it calls under the lock.
bool find_slot_at(int index, Slot& slot);

// False: there is no slot of that name.
bool find_slot(const char* name, Slot& slot);

void check_slot_name(const char* name);  // an ERROR if no slot can have it

// Sets what an unused slot holds: forward, back, or for the first time, none of which SQL can do but
// the first. An ERROR if it is in use.
void set_slot(const char* name, XLogRecPtr restart_lsn);

void persist_slot(const char* name);  // of a temporary slot of this process

void touch_slot(const char* name);  // takes it and gives it back, which counts as use
void release_slot();               // that this process has acquired, if any
void drop_slot(const char* name);  // needs no transaction

// --- WAL senders ----------------------------------------------------------------

struct WalSender {
  pid_t pid;
  WalSndState state;
  XLogRecPtr flushed, replayed;  // as the standby reports it; invalid: not yet
  TimeOffset flush_lag_us;       // negative: not known
};

// False if no process is at this place, of max_wal_senders.
bool copy_wal_sender(int index, WalSender& sender);

template <class Look>
void for_each_wal_sender(Look look) {
  WalSender sender;
  for (int index = 0; index < max_wal_senders; ++index)
    if (copy_wal_sender(index, sender)) look(sender);
}

// --- the rest -------------------------------------------------------------------

// pg_control, whole (trap 14). An ERROR if its CRC is wrong.
ControlFileData read_control_file();

// Room for the name of a piece of shared memory, its end included: what 15 to 18 have.
inline constexpr std::size_t kSharedNameSize = 48;

// A new lock in shared memory, which processes that have mapped it then name. In wait events, too.
void make_lock(LWLock* lock, const char* name);
void name_lock(const LWLock* lock, const char* name);

// Waits for `socket_events` on the connection to the client, the latch, or the end of the postmaster;
// returns what occurred (WL_...), 0 if the time was over.
std::uint32_t wait_for_client(std::uint32_t socket_events, long timeout_ms, std::uint32_t wait_event);

// The postmaster says so in its lock file, before it signals anybody.
bool server_is_stopping();

}  // namespace pg
