// server.cpp: the settings a clone needs, and whether what it takes is free.
#include "extension/pg/compat.h"
#include "extension/pg/encryption.h"
#include "extension/pg/insides.h"
#include "extension/preflight/checks.h"
#include "extension/session/settings.h"
#include "extension/session/shared.h"
#include "protocol/version.h"

namespace preflight {
namespace {

// The connections of a clone that is not held up for want of them: four streams, and control.
// (That for WAL counts among the WAL senders. With --jobs=auto one stream is enough.)
constexpr int kUsualConnections = 5;

int integer_setting(const char* name) {
  const char* value = GetConfigOption(name, true, false);
  return value == nullptr ? 0 : atoi(value);
}

void check_versions(Findings& findings) {
  add(findings, "version", Verdict::kOk,
      psprintf("PostgreSQL %d.%d, pg_standby_clone %s%s", compat::kServerVersion / 10000,
               compat::kServerVersion % 10000, protocol::kVersion,
               RecoveryInProgress() ? ", itself a standby" : ""));
  add_fact(findings, "extension_version", protocol::kVersion);
  add_fact(findings, "protocol_version", psprintf("%d", protocol::kProtocolVersion));
}

void check_database(Findings& findings) {
  HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
  bool is_template = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datistemplate;
  ReleaseSysCache(tuple);
  const char* name = get_database_name(MyDatabaseId);
  if (is_template)
    add(findings, "database", Verdict::kError,
        psprintf("\"%s\" is a template database, a clone cannot be made through it", name),
        "Create the extension in another database, and name that with --dbname.");
  else
    add(findings, "database", Verdict::kOk, psprintf("\"%s\" holds the extension", name));
}

void check_wal_level(Findings& findings) {
  if (wal_level < WAL_LEVEL_REPLICA)
    add(findings, "wal_level", Verdict::kError, "this server writes too little WAL for a standby (wal_level = minimal)",
        "Set wal_level = replica and restart the server.");
  else
    add(findings, "wal_level", Verdict::kOk,
        wal_level == WAL_LEVEL_REPLICA ? "wal_level = replica" : "wal_level = logical");
}

void check_wal_senders(Findings& findings) {
  int used = 0;
  pg::for_each_wal_sender([&](const pg::WalSender&) { ++used; });
  char* detail = psprintf("%d of %d WAL senders are free (max_wal_senders)",
                          max_wal_senders - used, max_wal_senders);
  if (max_wal_senders == 0)
    add(findings, "wal_senders", Verdict::kError,
        "this server allows no standby to stream (max_wal_senders = 0)",
        "Raise max_wal_senders and restart the server.");
  else if (used >= max_wal_senders)
    add(findings, "wal_senders", Verdict::kError, detail,
        "Raise max_wal_senders (a restart), or end an idle standby connection.");
  else
    add(findings, "wal_senders", Verdict::kOk, detail);
}

void check_slots(Findings& findings) {
  int used = 0, logical = 0;
  pg::for_each_slot([&](const pg::Slot& slot) {
    ++used;
    logical += slot.is_logical;
  });
  int free = max_replication_slots - used;
  char* detail = psprintf("%d of %d replication slots are free (max_replication_slots)", free,
                          max_replication_slots);
  // One while it runs, one for the standby; who clones with --no-slot, or again with a
  // slot that is there, gets by with the first.
  if (max_replication_slots == 0)
    add(findings, "replication_slots", Verdict::kError,
        "this server has no replication slots (max_replication_slots = 0)",
        "Raise max_replication_slots and restart the server.");
  else if (free < 1)
    add(findings, "replication_slots", Verdict::kError, detail,
        "Drop unused slots, or raise max_replication_slots (a restart).");
  else if (free < 2)
    add(findings, "replication_slots", Verdict::kWarning, detail,
        "A clone takes two: drop unused slots, raise max_replication_slots (a restart), or use "
        "--no-slot.");
  else
    add(findings, "replication_slots", Verdict::kOk, detail);
  if (logical > 0)
    add(findings, "logical_slots", Verdict::kOk,
        psprintf("%d logical slots of this server do not travel", logical),
        "Make them on the standby, or let the server synchronize them (17 and later).");
}

void check_workers(Findings& findings, const compat::BackendCounts& taken) {
  int free = Max(max_worker_processes - taken.workers, 0);
  char* detail = psprintf("%d of %d are free (max_worker_processes)", free,
                          max_worker_processes);
  if (free < 1)
    add(findings, "background_workers", Verdict::kError,
        psprintf("this server has no background worker free, all %d are taken (max_worker_processes)",
                 max_worker_processes),
        "Raise max_worker_processes (a restart), or wait until one is free: a clone takes one.");
  else
    add(findings, "background_workers", Verdict::kOk, detail);
}

void check_connections(Findings& findings, const compat::BackendCounts& taken) {
  int reserved = superuser() ? 0
                             : integer_setting("superuser_reserved_connections") +
                                   integer_setting("reserved_connections");
  // This very connection becomes one of the clone's.
  int free = Max(MaxConnections - reserved - taken.clients + 1, 0);
  char* detail = psprintf("%d of %d connections are free (max_connections)", free, MaxConnections);
  add_fact(findings, "free_connections", psprintf("%d", free));
  if (free < kUsualConnections)
    add(findings, "connections", Verdict::kWarning, detail,
        "A clone takes one, and one for each stream: use fewer --jobs, or raise max_connections "
        "(a restart).");
  else
    add(findings, "connections", Verdict::kOk, detail);
}

void check_clones(Findings& findings) {
  auto* records = static_cast<session::Record*>(
      palloc(sizeof(session::Record) * session::kRecordMax));
  int count = session::copy_records(records), live = 0;
  Oid home = InvalidOid;
  for (int index = 0; index < count; ++index) {
    if (protocol::is_ended(records[index].state)) continue;
    ++live;
    home = records[index].database;
  }
  pfree(records);
  if (live > 0 && home != MyDatabaseId) {
    const char* name = get_database_name(home);
    add(findings, "other_clones", Verdict::kError,
        psprintf("clones are running from another database: \"%s\"", name == nullptr ? "?" : name),
        psprintf("Wait for them, or connect to database \"%s\".", name == nullptr ? "?" : name));
  } else if (live >= session::kLiveMax) {
    add(findings, "other_clones", Verdict::kError,
        psprintf("%d clones are running, the most there can be", live),
        "Wait until one has ended.");
  } else {
    add(findings, "other_clones", Verdict::kOk, psprintf("%d running now", live));
  }
}

void add_settings(Findings& findings) {
  add_fact(findings, "max_streams", psprintf("%d", settings::max_streams));
}

void check_control_file(Findings& findings) {
  ControlFileData control = pg::read_control_file();
  add(findings, "page_checksums", Verdict::kOk,
      DataChecksumsEnabled() ? "on: each page is verified"
                                          : "off: a damaged page is not noticed");
  // Of the primary, as the standby heard of it last (trap 40).
  if (RecoveryInProgress() && !control.checkPointCopy.fullPageWrites)
    add(findings, "full_page_writes", Verdict::kError,
        "off on the primary: a backup of this standby would be corrupt",
        "Set full_page_writes = on there, run CHECKPOINT, and wait for it here.");
  add_fact(findings, "system_identifier", psprintf(UINT64_FORMAT, control.system_identifier));
  add_fact(findings, "wal_segment_size", psprintf("%u", control.xlog_seg_size));
  add_fact(findings, "block_size", psprintf("%u", control.blcksz));
}

// Said only where there is any.
void check_encryption(Findings& findings) {
  pg::Encryption found = pg::find_encryption();
  if (found.obstacle != nullptr)
    add(findings, "encryption", Verdict::kError, found.obstacle, found.hint);
  else if (found.by != nullptr)
    add(findings, "encryption", Verdict::kWarning,
        psprintf("%s: page checksums of encrypted relations cannot be verified from outside of the server; where a database "
                 "has keys, its pages are not", found.by),
        "Give the standby's server the same key provider; pg_amcheck reads the pages there, decrypted.");
}

}  // namespace

void check_caller() {
  Oid caller = GetUserId();
  if (superuser() || has_rolreplication(caller) || has_privs_of_role(caller, ROLE_PG_MONITOR))
    return;
  ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
          errmsg("permission denied to check this server"),
          errhint("It takes the REPLICATION attribute, or membership in pg_monitor."));
}

void check_server(Findings& findings) {
  check_versions(findings);
  check_database(findings);
  check_wal_level(findings);
  check_wal_senders(findings);
  check_slots(findings);
  compat::BackendCounts taken = compat::count_backends();
  check_workers(findings, taken);
  check_connections(findings, taken);
  check_clones(findings);
  check_control_file(findings);
  check_encryption(findings);
  add_settings(findings);
}

}  // namespace preflight
