// compat.h: what differs between the supported servers, and nothing else. No
// other file of the extension looks at PG_VERSION_NUM.
#pragma once

#include "extension/pg/server.h"

#if PG_VERSION_NUM < 150000
#error "pg_standby_clone needs PostgreSQL 15 or later"
#endif

namespace compat {

// What this library was built for.
inline constexpr int kServerVersion = PG_VERSION_NUM;

// The wait event shown in pg_stat_activity: its own name from 17 on, the general
// "Extension" before.
std::uint32_t wait_event(const char* name);

// How many client backends and how many background workers there are now.
struct BackendCounts {
  int clients;
  int workers;
};
BackendCounts count_backends();

// The backend with this process id, or NULL.
inline PGPROC* proc_of(pid_t pid) { return pid == 0 ? nullptr : BackendPidGetProc(pid); }

}  // namespace compat
