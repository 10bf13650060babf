// worker.h: the clone worker, a dynamic background worker that owns one clone's
// backup and slots, so that no client connection does.
#pragma once

#include "extension/session/shared.h"

namespace worker {

// Starts the worker of a clone. An ERROR, with the clone marked failed, if the
// server has no room for another worker. The handle is in the current memory
// context.
BackgroundWorkerHandle* start(const session::Handle& session);

// Makes the worker give up whatever it waits for, a checkpoint included.
void interrupt(const session::Handle& session);

// Ends the WAL sender that the helper has named as its own. Waits up to a second until it is gone.
void terminate_wal_sender(const session::Handle& session);

// Name of the temporary slot that holds the WAL of a clone while it runs.
void temporary_slot_name(char (&name)[NAMEDATALEN], std::uint64_t generation);

}  // namespace worker

extern "C" PGDLLEXPORT void pg_standby_clone_worker_main(Datum index);
