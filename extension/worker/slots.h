// slots.h: the clone's replication slots. All through the server's SQL functions,
// which are the same in all supported versions. Called in a transaction.
#pragma once

#include "extension/pg/server.h"

namespace slots {

struct Slot {
  bool exists;
  bool is_active;       // held by another process
  bool is_lost;         // invalidated: its WAL may be gone
  XLogRecPtr restart_lsn;  // invalid: no WAL reserved yet
};

// Needs no transaction.
Slot find(const char* name);

// The WAL sender that uses the slot, if any does.
struct Consumer {
  bool is_streaming;    // has caught up once
  XLogRecPtr replayed;  // as the standby reports it; invalid: not yet
};
Consumer consumer_of(const char* name);

// Counts as its use: a temporary slot can be idle for too long like any other (trap 96).
void touch(const char* name);

void create_temporary(const char* name);  // WAL reserved at once (trap 4)

// Moves the slot forward to `lsn`; does nothing if it is there already. Needs no transaction, so it holds no snapshot
// while it writes: the function of SQL would, and vacuum would see it on a busy disk.
void advance(const char* name, XLogRecPtr lsn);

// Whose is a slot that was made for a clone and that no standby has yet? The file says so that lies beside the slot's
// own: it is there before the slot is, goes with it, and outlives a crash of the server, which forgets the clone.
// Of a slot that has been used since, it says nothing.
bool find_owner(const char* name, char (&target)[NAMEDATALEN]);

// From now on the slot is the standby's, whatever becomes of the clone.
void disown(const char* name);

// Drops what earlier clones to `target` have left behind, none of which lives. `given`: the slot that the user
// has named for this one; "": none.
void drop_left_behind(const char* target, const char* given);

// Makes `name` hold the WAL that `temporary` holds. A slot of that name stays where it stands, never moved
// forward: whoever used it can still come back. One that holds less, or nothing yet, then holds this; one in
// use is an ERROR; a lost one is made anew unless it was `given` by the user (then an ERROR, too).
// Returns whether the slot was made here, is `target`'s, and ours to drop.
bool hand_over(const char* temporary, const char* name, bool given, const char* target);

void drop(const char* name);

}  // namespace slots
