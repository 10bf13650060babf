// views.cpp: the set-returning functions behind clone_status() and the views. All
// copy shared memory under its lock and show the copy.
#include "extension/entry/rows.h"
#include "extension/session/shared.h"
#include "extension/session/table.h"

extern "C" {
PG_FUNCTION_INFO_V1(pg_standby_clone_records);
PG_FUNCTION_INFO_V1(pg_standby_clone_phase_records);
PG_FUNCTION_INFO_V1(pg_standby_clone_stream_records);
PG_FUNCTION_INFO_V1(pg_standby_clone_kept_records);
}

namespace {

using entry::open_rows;
using entry::Row;
using session::Record;

std::uint64_t value_of(pg_atomic_uint64& counter) { return pg_atomic_read_u64(&counter); }

// What is left at the present rate; NULL when that is no guess at all.
void add_eta(Row& row, Record& record) {
  std::uint64_t total = value_of(record.bytes_total), done = value_of(record.bytes_done);
  std::uint64_t rate = value_of(record.throughput);
  bool is_known = record.phase == protocol::Phase::kCopying &&
                  !protocol::is_ended(record.state) && rate > 0 && total > done;
  if (!is_known) return row.add(0, true);
  auto* eta = static_cast<Interval*>(palloc0(sizeof(Interval)));
  eta->time = static_cast<TimeOffset>((total - done) / rate) * USECS_PER_SEC;
  row.add(IntervalPGetDatum(eta));
}

}  // namespace

// One row per clone, newest first, live and ended.
Datum pg_standby_clone_records(PG_FUNCTION_ARGS) {
  Row row = open_rows(fcinfo);
  auto* records = static_cast<Record*>(palloc(sizeof(Record) * session::kRecordMax));
  int count = session::copy_records(records);
  for (int index = 0; index < count; ++index) {
    Record& record = records[index];
    if (record.database != MyDatabaseId) continue;  // ids are each database's own
    bool is_ended = protocol::is_ended(record.state);
    row.add_number(record.id, record.id == 0);
    row.add_text(record.target);
    row.add_text(protocol::name_of(record.state));
    row.add_text(protocol::name_of(record.phase));
    row.add_text(record.client_addr);
    row.add_text(record.destination);
    row.add_text(record.slot_name);
    row.add_time(record.started_at);
    row.add_time(record.finished_at);
    row.add_lsn(record.start_lsn);
    row.add_lsn(record.stop_lsn);
    row.add(Int32GetDatum(static_cast<int32>(record.start_timeline)), record.start_timeline == 0);
    row.add(Int32GetDatum(record.streams));
    row.add_number(value_of(record.files_total));
    row.add_number(value_of(record.files_done));
    row.add_number(value_of(record.bytes_total));
    row.add_number(value_of(record.bytes_done));
    row.add_number(value_of(record.bytes_sent));
    row.add_number(value_of(record.throughput), is_ended);
    add_eta(row, record);
    row.add_number(value_of(record.checksum_failures));
    row.add_text(record.error);
    row.add_number(value_of(record.wal_retained), is_ended);
    // Objects of 0.2 and before end here.
    row.add_text(protocol::name_of(record.method));
    row.add_number(value_of(record.bytes_kept));
    row.put();
  }
  return static_cast<Datum>(0);
}

// One row per clone and phase it has reached.
Datum pg_standby_clone_phase_records(PG_FUNCTION_ARGS) {
  Row row = open_rows(fcinfo);
  auto* records = static_cast<Record*>(palloc(sizeof(Record) * session::kRecordMax));
  int count = session::copy_records(records);
  for (int index = 0; index < count; ++index) {
    Record& record = records[index];
    if (record.database != MyDatabaseId) continue;  // ids are each database's own
    session::PhaseTimes phases[protocol::kPhaseCount];
    int reached = session::phases_of(record, phases);
    for (int number = 0; number < reached; ++number) {
      row.add_number(record.id, record.id == 0);
      row.add_text(protocol::name_of(phases[number].phase));
      row.add_time(phases[number].started_at);
      row.add_time(phases[number].finished_at);
      row.add_number(phases[number].bytes);
      row.put();
    }
  }
  return static_cast<Datum>(0);
}

// One row per stream that is connected now.
Datum pg_standby_clone_stream_records(PG_FUNCTION_ARGS) {
  Row row = open_rows(fcinfo);
  auto* records = static_cast<Record*>(palloc(sizeof(Record) * session::kRecordMax));
  int count = session::copy_records(records);
  for (int index = 0; index < count; ++index) {
    Record& record = records[index];
    if (record.database != MyDatabaseId) continue;  // ids are each database's own
    if (protocol::is_ended(record.state)) continue;
    dsm_segment* segment = dsm_find_mapping(record.area);
    bool is_own = segment == nullptr;
    if (is_own) segment = dsm_attach(record.area);
    if (segment == nullptr) continue;  // it ended between the copy and now
    auto* area = static_cast<session::SessionArea*>(dsm_segment_address(segment));
    for (int number = 0; number < protocol::kStreamsMax && area->generation == record.generation;
         ++number) {
      session::StreamSlot& slot = area->streams[number];
      pid_t pid = slot.pid;
      if (pid == 0) continue;
      char file[sizeof(slot.file)];
      SpinLockAcquire(&slot.file_lock);
      std::memcpy(file, slot.file, sizeof(file));
      SpinLockRelease(&slot.file_lock);
      row.add_number(record.id, record.id == 0);
      row.add(Int32GetDatum(number + 1));
      row.add(Int32GetDatum(pid));
      row.add_text(file);
      row.add_number(value_of(slot.bytes_done));
      row.add_number(value_of(slot.bytes_sent));
      std::uint32_t level = pg_atomic_read_u32(&slot.compression_level);
      row.add_text(level > 0 ? psprintf("zstd:%u", level) : "none");
      row.add_text(session::name_of(
          static_cast<session::WaitingFor>(pg_atomic_read_u32(&slot.waiting_for))));
      row.put();
    }
    if (is_own) dsm_detach(segment);
  }
  return static_cast<Datum>(0);
}

// What clone_records holds, as its query gives it: a REFRESH writes the same rows again.
Datum pg_standby_clone_kept_records(PG_FUNCTION_ARGS) {
  Row rows = open_rows(fcinfo);
  Relation records = table_open(table::of(fcinfo), AccessShareLock);
  TupleDesc description = RelationGetDescr(records);
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * description->natts));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * description->natts));
  SysScanDesc scan = systable_beginscan(records, InvalidOid, false, GetActiveSnapshot(), 0, nullptr);
  while (HeapTuple row = systable_getnext(scan)) {
    heap_deform_tuple(row, description, values, nulls);
    tuplestore_putvalues(rows.result->setResult, rows.result->setDesc, values, nulls);
  }
  systable_endscan(scan);
  table_close(records, AccessShareLock);
  return static_cast<Datum>(0);
}
