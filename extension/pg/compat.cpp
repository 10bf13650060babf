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

// --- WAL summaries ----------------------------------------------------------------

struct SummaryReader {
  SummaryReader* next;  // of those that are open
#if PG_VERSION_NUM >= 170000
  File file;
  off_t at;
  char* path;
  BlockRefTableReader* reader;
#endif
};

#if PG_VERSION_NUM >= 170000

namespace {

SummaryReader* open_readers = nullptr;
char failure[MAXPGPATH + 64];

[[noreturn]] void fail_summary(const char* what, const char* path) {
  snprintf(failure, sizeof(failure), "%s \"%s\"", what, path);
  ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s", failure));
  pg_unreachable();
}

// What the server's reader calls when a file makes no sense to it. Does not return.
void report_damage(void* context, char*, ...) {
  fail_summary("damaged WAL summary", static_cast<SummaryReader*>(context)->path);
}

int read_some(void* context, void* to, int length) {
  auto* summary = static_cast<SummaryReader*>(context);
  ssize_t got = FileRead(summary->file, to, length, summary->at, WAIT_EVENT_WAL_SUMMARY_READ);
  if (got < 0) fail_summary("cannot read WAL summary", summary->path);
  summary->at += got;
  return static_cast<int>(got);
}

// The server's reader looks at the checksum when it has read all, and trusts each count until then.
void check_summary(SummaryReader* summary) {
  constexpr int kPiece = 64 * 1024;
  auto* piece = static_cast<char*>(palloc(kPiece));
  off_t size = FileSize(summary->file);
  if (size < 0) fail_summary("cannot read WAL summary", summary->path);
  off_t left = size - static_cast<off_t>(sizeof(pg_crc32c));
  pg_crc32c crc, told = 0;
  INIT_CRC32C(crc);
  while (left > 0) {
    int got = read_some(summary, piece, static_cast<int>(Min(left, off_t{kPiece})));
    if (got <= 0) break;
    COMP_CRC32C(crc, piece, got);
    left -= got;
  }
  FIN_CRC32C(crc);
  if (left != 0 || read_some(summary, &told, sizeof(told)) != sizeof(told) || !EQ_CRC32C(crc, told))
    fail_summary("damaged WAL summary", summary->path);
  summary->at = 0;
  pfree(piece);
}

struct SummarizerState {
  TimeLineID timeline;
  XLogRecPtr summarized, pending;
  int pid;
};

SummarizerState summarizer_state() {
  SummarizerState state;
  GetWalSummarizerState(&state.timeline, &state.summarized, &state.pending, &state.pid);
  return state;
}

}  // namespace

const char* summary_failure() { return failure[0] == '\0' ? nullptr : failure; }
bool summarizes_wal() { return summarize_wal; }
XLogRecPtr summarized_up_to() { return summarizer_state().summarized; }
XLogRecPtr summarizer_at() { return summarizer_state().pending; }

void wake_summarizer() {
#if PG_VERSION_NUM >= 180000
  WakeupWalSummarizer();
#else
  SetWalSummarizerLatch();
#endif
}

SummaryReader* open_summary(const char* path) {
  failure[0] = '\0';
  auto* summary = static_cast<SummaryReader*>(palloc0(sizeof(SummaryReader)));
  summary->path = pstrdup(path);
  summary->file = PathNameOpenFile(path, O_RDONLY | PG_BINARY);
  if (summary->file < 0) fail_summary("cannot open WAL summary", path);
  summary->next = open_readers;
  open_readers = summary;
  check_summary(summary);
  summary->reader = CreateBlockRefTableReader(read_some, summary, summary->path, report_damage, summary);
  return summary;
}

bool next_fork(SummaryReader* summary, SummaryFork& fork) {
  RelFileLocator relation;
  ForkNumber number;
  if (!BlockRefTableReaderNextRelation(summary->reader, &relation, &number, &fork.limit)) return false;
  fork.database = relation.dbOid;
  fork.tablespace = relation.spcOid;
  fork.relation = relation.relNumber;
  fork.fork = static_cast<std::uint8_t>(number);
  return true;
}

unsigned next_blocks(SummaryReader* summary, std::uint32_t* to, unsigned most) {
  return BlockRefTableReaderGetBlocks(summary->reader, to, static_cast<int>(most));
}

void close_summaries() {
  for (; open_readers != nullptr; open_readers = open_readers->next) FileClose(open_readers->file);
}

#else

const char* summary_failure() { return nullptr; }
bool summarizes_wal() { return false; }
XLogRecPtr summarized_up_to() { return InvalidXLogRecPtr; }
XLogRecPtr summarizer_at() { return InvalidXLogRecPtr; }
void wake_summarizer() {}
SummaryReader* open_summary(const char*) { return nullptr; }
bool next_fork(SummaryReader*, SummaryFork&) { return false; }
unsigned next_blocks(SummaryReader*, std::uint32_t*, unsigned) { return 0; }
void close_summaries() {}

#endif

}  // namespace compat
