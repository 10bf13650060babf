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

BackendCounts count_backends() {
  BackendCounts counts{};
  for (int index = 1; index <= pgstat_fetch_stat_numbackends(); ++index) {
#if PG_VERSION_NUM >= 160000
    LocalPgBackendStatus* local = pgstat_get_local_beentry_by_index(index);
#else
    LocalPgBackendStatus* local = pgstat_fetch_stat_local_beentry(index);
#endif
    if (local == nullptr) continue;
    counts.clients += local->backendStatus.st_backendType == B_BACKEND;
    counts.workers += local->backendStatus.st_backendType == B_BG_WORKER;
  }
  return counts;
}

void report_checksum_failures(Oid database, int count) {
#if PG_VERSION_NUM >= 180000
  pgstat_prepare_report_checksum_failure(database);
#endif
  pgstat_report_checksum_failures_in_db(database, count);
}

}  // namespace compat
