// agents.h: the agents that are connected now, in shared memory of their own. An agent
// is the backend of a `pg_standby_clone agent`; it is listed from its attach to its
// detach or its end, whichever comes first.
//
// Law of the lock: one LWLock guards all of it, held for a few copies at a time, as in
// shared.h.
#pragma once

#include "extension/pg/server.h"

namespace session {

inline constexpr int kAgentMax = 16;

struct Agent {
  pid_t pid;  // 0: the place is free
  Oid database;
  Oid role;
  TimestampTz connected_since;
  char target[NAMEDATALEN];
  char client_addr[48];
  char destination[96];
  char destination_state[48];
  char version[16];
  char activity[64];  // empty: an older program does not say
};

// Lists this backend as the agent of a target, or changes what is said of it. ERROR if
// another backend is, or no place is free.
void attach_agent(const Agent& agent);

// Does nothing in a backend that is no agent.
void detach_agent();

// Is an agent of this target connected to this database, of this role (InvalidOid: any)?
bool has_agent(const char* target, Oid role = InvalidOid);

// Is this backend the agent of the target?
bool is_agent(const char* target);

// Copies the agents of this database, those that came first before the others, into
// `out` (kAgentMax places); returns their number.
int copy_agents(Agent* out);

}  // namespace session
