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

// Moves the slot forward to `lsn`; does nothing if it is there already.
void advance(const char* name, XLogRecPtr lsn);

// Makes `name` hold the WAL that `temporary` holds. A slot of that name stays where it stands, never moved
// forward: whoever used it can still come back. One that holds less, or nothing yet, then holds this; one in
// use is an ERROR; a lost one is made anew unless it was `given` by the user (then an ERROR, too).
// Returns whether the slot was made here and is ours to drop.
bool hand_over(const char* temporary, const char* name, bool given);

void drop(const char* name);

}  // namespace slots
