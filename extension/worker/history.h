// history.h: the worker's rows in clone_records. Each call is a short transaction of its
// own. What goes wrong in it is a warning in the log, never the clone's failure; only a
// request that cannot be taken is an ERROR.
#pragma once

#include "extension/session/shared.h"

namespace history {

// Gives the clone its number: that of its request, which it takes, or a new one.
void begin(const session::Handle& session);

// Writes how the clone ended, before shared memory says so: who is woken by the NOTIFY
// finds it.
void end(const session::Handle& session, session::State state, const char* error);

// Tells listeners of a change of state.
void tell(const session::Handle& session, session::State state);

}  // namespace history
