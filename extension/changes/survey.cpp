// survey.cpp: looks, and changes nothing.
#include "extension/changes/survey.h"

#include <unistd.h>

#include "protocol/hash.h"

namespace changes {
namespace {

// The history file as it is; "" if there is none here.
protocol::LongText history_of(TimeLineID timeline) {
  if (timeline == 1) return {};
  char path[MAXPGPATH];
  TLHistoryFilePath(path, timeline);
  int file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
  if (file < 0) return {};
  StringInfoData text;
  initStringInfo(&text);
  char piece[1024];
  ssize_t got;
  while ((got = read(file, piece, sizeof(piece))) > 0) appendBinaryStringInfo(&text, piece, static_cast<int>(got));
  CloseTransientFile(file);
  return {{text.data, static_cast<std::size_t>(text.len)}};
}

// The segment in which a timeline begins exists of both, and the newer one has all of it; of what was received
// and then left only what this history names is looked at. False if there is none.
bool find_segment(List* history, XLogSegNo segment, char (&path)[MAXPGPATH]) {
  for (int index = 0; index < list_length(history); ++index) {
    auto* part = static_cast<TimeLineHistoryEntry*>(list_nth(history, index));
    XLogSegNo first;
    XLByteToSeg(part->begin, first, wal_segment_size);
    if (segment < first) continue;
    XLogFilePath(path, part->tli, segment, wal_segment_size);
    if (access(path, F_OK) == 0) return true;
  }
  return false;
}

// Those of extensions: what they write has no page that a rule of ours knows.
protocol::Text custom_managers() {
  StringInfoData names;
  initStringInfo(&names);
  for (int id = RM_MIN_CUSTOM_ID; id <= RM_MAX_CUSTOM_ID; ++id) {
    if (!RmgrIdExists(static_cast<RmgrId>(id))) continue;
    appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", GetRmgr(static_cast<RmgrId>(id)).rm_name);
  }
  return {names.data, Min(static_cast<std::size_t>(names.len), std::size_t{protocol::kTextMax})};
}

}  // namespace

XLogRecPtr end_of_wal() {
  return RecoveryInProgress() ? GetXLogReplayRecPtr(nullptr) : GetFlushRecPtr(nullptr);
}

TimeLineID current_timeline() {
  if (!RecoveryInProgress()) return GetWALInsertionTimeLine();
  TimeLineID timeline = 0;
  GetXLogReplayRecPtr(&timeline);
  return timeline;
}

bool has_wal_from(XLogRecPtr since) {
  XLogRecPtr until = end_of_wal();
  if (since > until) return false;
  List* history = readTimeLineHistory(current_timeline());
  XLogSegNo segment, last;
  XLByteToSeg(since, segment, wal_segment_size);
  XLByteToPrevSeg(until, last, wal_segment_size);
  char path[MAXPGPATH];
  // The segment that begins at `until` may not be there yet.
  bool is_there = segment > XLogGetLastRemovedSegno();
  for (; is_there && segment <= last; ++segment) is_there = find_segment(history, segment, path);
  list_free_deep(history);
  return is_there;
}

protocol::SurveyResult survey(const protocol::Survey& request) {
  protocol::SurveyResult result;
  result.flushed = end_of_wal();
  result.has_wal = has_wal_from(request.since);
  result.custom_managers = custom_managers();
  result.timeline = current_timeline();
  result.history = history_of(result.timeline);
  return result;
}

// A database that is copied file by file keeps the LSNs of its template. Whose row an older transaction wrote last, it
// was neither made nor moved since; one that is too old to be compared counts as young.
void find_young_databases(std::uint64_t young_from, protocol::ChangesEnd& end) {
  FullTransactionId since = FullTransactionIdFromU64(young_from);
  std::uint64_t now = U64FromFullTransactionId(ReadNextFullTransactionId());
  end.all_databases_young = now < young_from || now - young_from >= std::uint64_t{1} << 31;
  if (end.all_databases_young) return;
  StringInfoData oids;
  initStringInfo(&oids);
  Relation relation = table_open(DatabaseRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  while (HeapTuple tuple = systable_getnext(scan)) {
    TransactionId writer = HeapTupleHeaderGetRawXmin(tuple->t_data);
    if (!TransactionIdFollowsOrEquals(writer, XidFromFullTransactionId(since))) continue;
    std::uint32_t oid = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->oid;
    appendBinaryStringInfo(&oids, reinterpret_cast<const char*>(&oid), sizeof(oid));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  end.young_databases = std::as_bytes(std::span(oids.data, static_cast<std::size_t>(oids.len)));
}

protocol::WalHashResult hash_wal(const protocol::WalHash& request) {
  protocol::WalHashResult result;
  List* history = readTimeLineHistory(current_timeline());
  protocol::ContentHasher hash(request.seed);
  char page[XLOG_BLCKSZ];
  char path[MAXPGPATH];
  int file = -1;
  XLogSegNo opened = 0;
  XLogRecPtr at = request.from;
  while (at < request.to) {
    XLogSegNo segment;
    XLByteToSeg(at, segment, wal_segment_size);
    if (file < 0 || segment != opened) {
      if (file >= 0) CloseTransientFile(file);
      file = find_segment(history, segment, path) ? OpenTransientFile(path, O_RDONLY | PG_BINARY) : -1;
      opened = segment;
      if (file < 0) break;
    }
    std::size_t size = Min(XLOG_BLCKSZ - at % XLOG_BLCKSZ, request.to - at);
    auto offset = static_cast<off_t>(XLogSegmentOffset(at, wal_segment_size));
    if (pread(file, page, size, offset) != static_cast<ssize_t>(size)) break;
    hash.add(page, size);
    at += size;
  }
  if (file >= 0) CloseTransientFile(file);
  list_free_deep(history);
  result.hash = hash.value();
  result.is_there = at >= request.to;
  return result;
}

}  // namespace changes
