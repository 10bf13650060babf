// compat.h: what differs between the supported servers, and nothing else. No
// other file of the extension looks at PG_VERSION_NUM.
#pragma once

#include "extension/pg/server.h"

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

// 19 has handlers of another type, and its own word for the one that ignores.
inline void ignore_signal(int signal) {
#if PG_VERSION_NUM >= 190000
  pqsignal(signal, PG_SIG_IGN);
#else
  pqsignal(signal, SIG_IGN);
#endif
}

// What pg_stat_progress_basebackup has beside phase and sizes.
inline void show_full_backup() {
#if PG_VERSION_NUM >= 190000
  pgstat_progress_update_param(PROGRESS_BASEBACKUP_BACKUP_TYPE, PROGRESS_BASEBACKUP_BACKUP_TYPE_FULL);
#endif
}

// The configuration files that a setting may place outside of the data directory; NULL: it has none.
inline constexpr auto configuration_files() {
#if PG_VERSION_NUM >= 190000
  return std::array{&ConfigFileName, &HbaFileName, &IdentFileName, &HostsFileName};
#else
  return std::array{&ConfigFileName, &HbaFileName, &IdentFileName};
#endif
}

// Counts damaged pages in pg_stat_database; InvalidOid: of relations that all databases share.
void report_checksum_failures(Oid database, int count);

// The backend with this process id, or NULL.
inline PGPROC* proc_of(pid_t pid) { return pid == 0 ? nullptr : BackendPidGetProc(pid); }

}  // namespace compat
