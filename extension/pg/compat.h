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

// 19 has handlers of another type; what ignores is no function but a number, whatever its type (its
// PG_SIG_IGN is a cast between functions that clang warns of).
inline void ignore_signal(int signal) { pqsignal(signal, std::bit_cast<pqsigfunc>(SIG_IGN)); }

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

// --- WAL summaries: of 17 and later; no earlier server ever has any ---------------

bool summarizes_wal();  // summarize_wal
XLogRecPtr summarized_up_to();  // on disk; invalid: nothing yet
// How far the summarizer has read, which moves while it works.
XLogRecPtr summarizer_at();
void wake_summarizer();

struct SummaryReader;

struct SummaryFork {
  Oid database, tablespace;
  std::uint32_t relation;  // the number of its files
  std::uint8_t fork;
  BlockNumber limit;       // InvalidBlockNumber: none
};

// A file of pg_wal/summaries. What is not there or is damaged is an ERROR, here and below, after which
// summary_failure() says in words what it was; of every other ERROR it says NULL.
SummaryReader* open_summary(const char* path);
bool next_fork(SummaryReader* reader, SummaryFork& fork);
unsigned next_blocks(SummaryReader* reader, std::uint32_t* to, unsigned most);
// All that are open; also after an ERROR. The memory is the context's.
void close_summaries();
const char* summary_failure();

}  // namespace compat
