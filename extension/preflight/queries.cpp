// queries.cpp: what the server's own views know: WAL, access, collations. Every name is
// qualified; the function that calls this has a search_path of its own as well.
#include <gnu/libc-version.h>
#include <link.h>

#include "extension/pg/insides.h"
#include "extension/preflight/checks.h"
#include "extension/session/settings.h"

namespace preflight {
namespace {

// The first row's columns as texts, NULL where NULL; false if there is no row.
bool first_row(const char* query, char** columns, int count) {
  if (SPI_execute(query, true, 1) != SPI_OK_SELECT)
    elog(ERROR, "a check's query failed: %s", query);
  if (SPI_processed == 0) return false;
  for (int column = 0; column < count; ++column)
    columns[column] =
        SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column + 1);
  return true;
}

double number_of(const char* text) { return text == nullptr ? 0 : strtod(text, nullptr); }

// Bytes of WAL a second: since the last checkpoint if that tells enough, and on average
// since the statistics began; the higher of the two.
double wal_rate() {
  char* average = nullptr;
  first_row(
      "SELECT wal_bytes / greatest(1, extract(epoch FROM pg_catalog.clock_timestamp() - stats_reset)) "
      "FROM pg_catalog.pg_stat_wal",
      &average, 1);
  double rate = number_of(average);

  ControlFileData control = pg::read_control_file();
  XLogRecPtr now = RecoveryInProgress() ? GetXLogReplayRecPtr(nullptr) : GetXLogInsertRecPtr();
  double age = static_cast<double>(std::time(nullptr) - control.checkPointCopy.time);
  constexpr double kTellsEnoughSeconds = 10;
  if (age >= kTellsEnoughSeconds && now > control.checkPointCopy.redo)
    rate = Max(rate, static_cast<double>(now - control.checkPointCopy.redo) / age);
  return rate;
}

// How long WAL must be kept for a clone whose helper has gone silent: its lease, and the
// minute in which its slot is moved on.
double longest_wait_s() { return settings::reconnect_timeout_s + 60.0; }

void check_keep_size(Findings& findings, double rate) {
  if (max_slot_wal_keep_size_mb < 0) {
    add(findings, "max_slot_wal_keep_size", Verdict::kOk, "no limit");
    return;
  }
  double kept = max_slot_wal_keep_size_mb * 1024.0 * 1024.0;
  double lasts = kept / Max(rate, 1.0);
  char* detail = psprintf("%s, which at %s of WAL a second lasts %s", human_size(kept),
                          human_size(rate), human_time(lasts));
  if (kept == 0 || lasts < longest_wait_s())
    add(findings, "max_slot_wal_keep_size", Verdict::kWarning, detail,
        psprintf("A clone whose connections break is waited for, with its WAL, for up to %s: raise "
                 "max_slot_wal_keep_size (a reload), or it may lose its slot and fail.",
                 human_time(longest_wait_s())));
  else
    add(findings, "max_slot_wal_keep_size", Verdict::kOk, detail);
}

void check_wal_space(Findings& findings, double rate) {
  struct statvfs room;
  if (statvfs("pg_wal", &room) != 0)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not look at directory \"pg_wal\": %m"));
  double free = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  double needed = rate * longest_wait_s();
  // A limit on slots limits what they can fill, too.
  if (max_slot_wal_keep_size_mb >= 0)
    needed = Min(needed, max_slot_wal_keep_size_mb * 1024.0 * 1024.0);
  char* detail = psprintf("%s are free, %s of WAL are written a second", human_size(free),
                          human_size(rate));
  if (free < needed)
    add(findings, "wal_space", Verdict::kWarning, detail,
        psprintf("Up to %s may be kept for a clone whose connections break: make room on the file "
                 "system of pg_wal.",
                 human_size(needed)));
  else
    add(findings, "wal_space", Verdict::kOk, detail);
}

// The roles that may clone, and whether pg_hba.conf has lines for them: for this database
// and for "replication", which the database's never match (trap 90). What the order of
// lines and the address of a client make of it, only an attempt can tell.
constexpr char kAccessQuery[] = R"sql(
WITH role AS (
  SELECT oid, rolname FROM pg_catalog.pg_roles
   WHERE rolcanlogin AND (rolreplication OR rolsuper)
), line AS (
  SELECT * FROM pg_catalog.pg_hba_file_rules WHERE error IS NULL AND auth_method <> 'reject'
), match AS (
  SELECT r.rolname,
         (l.type <> 'local' AND coalesce(l.address, '') NOT IN
           ('127.0.0.1', '::1', 'localhost', 'samehost')) AS is_far,
         'replication' = ANY (l.database) AS for_replication,
         EXISTS (SELECT FROM pg_catalog.unnest(l.database) d
                  WHERE d = 'all' OR d = pg_catalog.current_database()
                     OR (d = 'sameuser' AND r.rolname = pg_catalog.current_database())
                     OR (pg_catalog.left(d, 1) = '/'
                         AND pg_catalog.current_database() ~ pg_catalog.substr(d, 2))) AS for_database
    FROM role r JOIN line l ON EXISTS (
         SELECT FROM pg_catalog.unnest(l.user_name) u
          WHERE u = 'all' OR u = r.rolname
             OR (pg_catalog.left(u, 1) = '/' AND r.rolname ~ pg_catalog.substr(u, 2))
             OR (pg_catalog.left(u, 1) = '+' AND EXISTS (
                   SELECT FROM pg_catalog.pg_roles g
                    WHERE g.rolname = pg_catalog.substr(u, 2)
                      AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER'))))
), verdict AS (
  SELECT rolname,
         bool_or(for_replication AND is_far) AND bool_or(for_database AND is_far) AS is_far,
         bool_or(for_replication) AND bool_or(for_database) AS is_near
    FROM match GROUP BY rolname
)
SELECT (SELECT string_agg(pg_catalog.quote_ident(rolname), ', ' ORDER BY rolname) FROM verdict WHERE is_far),
       (SELECT string_agg(pg_catalog.quote_ident(rolname), ', ' ORDER BY rolname) FROM verdict WHERE is_near),
       (SELECT count(*) FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL),
       pg_catalog.quote_ident(pg_catalog.current_database()),
       (SELECT pg_catalog.quote_ident(rolname) FROM role r
         ORDER BY (SELECT rolsuper FROM pg_catalog.pg_roles s WHERE s.oid = r.oid), rolname LIMIT 1)
)sql";

char* access_lines(const char* database, const char* role) {
  return psprintf(
      "Add these lines to pg_hba.conf, with the standby's address, and reload it:\n"
      "  host  %s  %s  ADDRESS/32  scram-sha-256\n"
      "  host  replication  %s  ADDRESS/32  scram-sha-256",
      database, role, role);
}

// glibc's collations change with its version, and so do ICU's.
char* loaded_icu_version() {
  static char version[16];
  version[0] = '\0';
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void*) {
        constexpr char kLibrary[] = "libicui18n.so.";
        const char* found = std::strstr(info->dlpi_name, kLibrary);
        if (found == nullptr) return 0;
        strlcpy(version, found + sizeof(kLibrary) - 1, sizeof(version));
        version[std::strspn(version, "0123456789")] = '\0';
        return 1;
      },
      nullptr);
  return version;
}

}  // namespace

void check_wal(Findings& findings) {
  double rate = wal_rate();
  check_keep_size(findings, rate);
  check_wal_space(findings, rate);
  add_fact(findings, "wal_rate", psprintf("%.0f", rate));
}

void check_host_based_access(Findings& findings) {
  char* may_read = nullptr;
  first_row(
      "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AND "
      "pg_catalog.has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')",
      &may_read, 1);
  if (may_read == nullptr || may_read[0] != 't') {
    add(findings, "pg_hba", Verdict::kOk,
        "not for this role to read; pg_standby_clone check tries both connections");
    return;
  }
  char* row[5];
  if (!first_row(kAccessQuery, row, lengthof(row))) elog(ERROR, "a check's query has no row");
  auto [far, near, errors, database, role] = row;
  if (number_of(errors) > 0)
    add(findings, "pg_hba", Verdict::kWarning,
        psprintf("pg_hba.conf has %s lines with errors", errors),
        "See the view pg_hba_file_rules; a reload would be refused.");
  else if (far != nullptr)
    add(findings, "pg_hba", Verdict::kOk,
        psprintf("lines for this database and for replication let in: %s", far));
  else if (near != nullptr)
    add(findings, "pg_hba", Verdict::kWarning,
        psprintf("only from this host itself are let in, for this database and for replication: %s",
                 near),
        access_lines(database, role));
  else
    add(findings, "pg_hba", Verdict::kError,
        "no role that may clone has lines both for this database and for replication",
        access_lines(database, role));
}

void check_collations(Findings& findings) {
  add_fact(findings, "libc_version", gnu_get_libc_version());
  add_fact(findings, "icu_version", loaded_icu_version());
  char* stale = nullptr;
  first_row(
      "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(datname), ', ' ORDER BY datname) "
      "FROM pg_catalog.pg_database WHERE datallowconn AND datcollversion IS NOT NULL AND "
      "datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(oid)",
      &stale, 1);
  if (stale != nullptr)
    add(findings, "collations", Verdict::kWarning,
        psprintf("databases were made with another version of the collation's library: %s", stale),
        "Rebuild their indexes over texts, then ALTER DATABASE ... REFRESH COLLATION VERSION; "
        "a standby inherits what is wrong with them.");
  else
    add(findings, "collations", Verdict::kOk,
        psprintf("of the versions the databases were made with (glibc %s)", gnu_get_libc_version()));
}

}  // namespace preflight
