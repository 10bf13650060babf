// preflight.cpp: the order of the checks.
#include "helper/preflight/preflight.h"

#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

#include "helper/preflight/donor.h"
#include "helper/preflight/host.h"
#include "helper/preflight/report.h"
#include "helper/preflight/survey.h"
#include "helper/standby/conninfo.h"
#include "helper/wal/receiver.h"

namespace standby_clone {
namespace {

// A tenth of a second apart.
constexpr int kSlotTries = 20;

// A step that fails is a finding; what depends on it is left out.
template <class Step>
bool attempt(const char* check, Findings& findings, Step step) {
  try {
    step();
    return true;
  } catch (const Failure& failure) {
    if (failure.kind == Kind::kCancelled) throw;
    findings.fail(check, failure.kind, failure.message, failure.hint);
    return false;
  }
}

std::string place_of(const Connection& connection) {
  Address address = connection.address();
  return fmt::format("{}:{}", address.host, address.port);
}

// The standby's slot, as the donor will judge it when the clone begins; but that one which the server to be
// replaced uses is free by then.
void check_slot(const Options& options, Connection& connection, Findings& findings) {
  if (options.slot.empty()) return;
  Look look = look_at_directory(options.data_directory);
  bool is_replaced = options.manage_server && look.occupant == Occupant::kServer;
  Rows rows;
  // The WAL sender of a standby that was stopped a moment ago may still have it.
  for (int tries = 0; tries < kSlotTries; ++tries) {
    if (tries > 0) connection.query("SELECT pg_catalog.pg_sleep(0.1)", Kind::kPreflight);
    rows = connection.query(
        fmt::format("SELECT slot_type, active, coalesce(wal_status, ''), pg_catalog.current_setting("
                    "'max_replication_slots')::int - (SELECT count(*) FROM pg_catalog.pg_replication_slots) "
                    "FROM (VALUES (1)) v LEFT JOIN pg_catalog.pg_replication_slots ON slot_name = {}",
                    quote_literal(options.slot)),
        Kind::kPreflight);
    if (rows.at(0)[1] != "t" || is_replaced) break;
  }
  auto refuse = [&](const std::string& detail, const std::string& hint) {
    findings.fail("slot", Kind::kPreflight, detail, hint);
  };
  const auto& row = rows.at(0);
  bool exists = row[0].has_value();
  long free = std::strtol(row[3].value_or("0").c_str(), nullptr, 10), needed = exists ? 1 : 2;
  if (!exists && options.slot_given)
    return refuse(fmt::format("replication slot \"{}\" does not exist", options.slot),
                  "Create it with pg_create_physical_replication_slot(), or leave --slot out: the clone then "
                  "makes its own.");
  if (row[0] == "logical")
    return refuse(fmt::format("replication slot \"{}\" is a logical one", options.slot),
                  "Choose another --name or --slot.");
  if (row[1] == "t" && !is_replaced)
    return refuse(fmt::format("replication slot \"{}\" is active: a standby uses it", options.slot),
                  "Stop that standby first, or choose another --name or --slot.");
  if (row[2] == "lost" && options.slot_given)
    return refuse(fmt::format("replication slot \"{}\" is lost: it held more WAL than "
                              "max_slot_wal_keep_size allows",
                              options.slot),
                  "Drop it and create it again, or leave --slot out.");
  // An unfinished clone may still have its own.
  if (free < needed && look.holds != Holds::kUnfinishedClone)
    return refuse(fmt::format("a clone needs {} free replication slots, this server has {}", needed, free),
                  "Drop unused slots, or raise max_replication_slots.");
  // Only the donor knows whose it is.
  if (exists && options.create_slot)
    return findings.warn("slot", fmt::format("replication slot \"{}\" already exists: the clone is refused, unless an earlier one "
                                             "of this name has left it behind",
                                             options.slot),
                         "Leave --create-slot out to use it as it is, or name another with --slot.");
  // Left where it stands: whoever used it can still come back.
  if (exists && row[2] != "lost" && row[1] != "t" && !options.slot_given && !options.delta)
    return findings.warn("slot", fmt::format("replication slot \"{}\" is there already, not in use: it is taken as it stands",
                                             options.slot),
                         "If it is another standby's, give this one another --name or --slot: two cannot share a slot.");
  findings.ok("slot", exists ? fmt::format("\"{}\" is there, and can be used", options.slot)
                             : fmt::format("\"{}\" will be made", options.slot));
}

// What synchronization of slots asks of the donor ("Replication Slot Synchronization" in PostgreSQL's documentation).
void check_failover_slots(const Options& options, Connection& connection, Findings& findings) {
  if (!options.failover_slots) return;
  auto refuse = [&](const std::string& detail, const std::string& hint) {
    findings.fail("failover_slots", Kind::kPreflight, detail, hint);
  };
  if (connection.server_version() < 170000)
    return refuse(fmt::format("slots are synchronized by PostgreSQL 17 and later, the donor runs {}",
                              connection.server_version() / 10000),
                  "Leave --failover-slots out.");
  if (connection.in_recovery())
    return refuse("slots are synchronized from a primary alone, and the donor is a standby", "Clone the primary.");
  Rows rows = connection.query(
      fmt::format("SELECT pg_catalog.current_setting('wal_level'), EXISTS (SELECT FROM pg_catalog.pg_replication_slots "
                  "WHERE slot_type = 'logical' AND failover), {} IN (SELECT pg_catalog.btrim(name, ' \"') FROM "
                  "pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('synchronized_standby_slots'), "
                  "',')) AS name)",
                  quote_literal(options.slot)),
      Kind::kPreflight);
  const auto& row = rows.at(0);
  if (row[0] != "logical")
    return refuse("the donor has no logical slots to keep: its wal_level is " + row[0].value_or("?"),
                  "Leave --failover-slots out, or set wal_level = logical there.");
  if (row[1] != "t")
    findings.warn("failover_slots", "no logical slot of the donor has its failover property set: none is kept",
                  "Set it with ALTER SUBSCRIPTION ... SET (failover = true), or when a slot is created.");
  else if (row[2] != "t")
    findings.warn("failover_slots",
                  fmt::format("synchronized_standby_slots of the donor does not name \"{}\": a subscriber may be ahead of this "
                              "standby when it is promoted",
                              options.slot),
                  fmt::format("Run on the donor, once the standby streams: ALTER SYSTEM SET synchronized_standby_slots = '{}'; "
                              "SELECT pg_reload_conf();",
                              options.slot));
  else
    findings.ok("failover_slots", "logical slots will be kept for a failover");
}

// The WAL comes over such a connection.
void check_replication(const Options& options, const Address& address, std::uint64_t system,
                       const StopSource& stop, Findings& findings) {
  attempt("replication", findings, [&] {
    Connection connection(donor_of(options), Purpose::kReplication, &address, stop);
    if (system != 0) identify(connection, system);
    findings.ok("replication", "a replication connection is let in");
  });
}

void check_way_of_standby(const Options& options, const Connection& donor, std::uint64_t system, const StopSource& stop,
                          Findings& findings) {
  attempt("standby_connection", findings, [&] {
    if (connect_as_standby(options, standby_conninfo_by(options, donor), donor.address(), system, stop, findings))
      findings.ok("standby_connection", "the standby will be let in by its primary_conninfo");
  });
}

// A look at millions of files takes a while: one line of what is done, where somebody looks on.
class SurveyTicker {
 public:
  ~SurveyTicker() {
    if (is_shown_) std::fputs("\r\033[K", stderr);
  }
  void tell(std::size_t count) {
    if (isatty(STDERR_FILENO) != 1) return;
    fmt::print(stderr, "\r\033[Klooking at the donor's files: {}", count);
    std::fflush(stderr);
    is_shown_ = true;
  }

 private:
  bool is_shown_ = false;
};

void check_both_hosts(const Options& options, const StopSource& stop, Findings& findings) {
  std::unique_ptr<Connection> connection;
  bool is_connected = attempt("connection", findings, [&] {
    connection = std::make_unique<Connection>(donor_of(options), Purpose::kDatabase, nullptr, stop);
  });
  if (!is_connected) return;
  findings.ok("connection", fmt::format("\"{}\" at {}", connection->database(), place_of(*connection)));
  std::string schema;
  DonorReport donor;
  bool is_known = attempt("extension", findings, [&] {
    schema = find_extension(*connection);
    findings.ok("extension", "is there, in schema " + schema);
    donor = ask_donor(*connection, schema, findings);
  });
  check_replication(options, connection->address(), donor.system_identifier, stop, findings);
  if (findings.count(Verdict::kError) == 0)
    check_way_of_standby(options, *connection, donor.system_identifier, stop, findings);
  if (!is_known || donor.system_identifier == 0) return;
  attempt("slot", findings, [&] { check_slot(options, *connection, findings); });
  attempt("failover_slots", findings, [&] { check_failover_slots(options, *connection, findings); });
  attempt("size", findings, [&] {
    SurveyTicker ticker;
    take_sizes(list_files_of(*connection, schema, stop, [&](std::size_t count) { ticker.tell(count); }), donor, findings);
  });
  attempt("space", findings, [&] { check_space(options, donor, findings); });
  check_host(options, donor, stop, findings);
}

}  // namespace

Findings check_target(const Options& options) {
  Findings findings;
  attempt("directory", findings, [&] { check_directories(options, findings); });
  return findings;
}

Findings check_donor(const Options& options, Connection& connection, const std::string& schema,
                     const StopSource& stop) {
  Findings findings;
  DonorReport donor = ask_donor(connection, schema, findings);
  if (donor.system_identifier == 0) return findings;
  check_slot(options, connection, findings);
  check_failover_slots(options, connection, findings);
  check_space(options, donor, findings);
  check_host(options, donor, stop, findings);
  return findings;
}

std::string standby_conninfo_by(const Options& options, const Connection& connection) {
  StandbyWay way;
  way.application_name = options.name;
  way.with_secrets = options.write_password;
  way.with_database = connection.server_version() >= 170000;
  way.to_standby = connection.in_recovery();
  return standby_conninfo(connection.options(), connection.choices(), connection.address(), way);
}

std::unique_ptr<Connection> connect_as_standby(const Options& options, const std::string& conninfo,
                                               const Address& donor, std::uint64_t system, const StopSource& stop,
                                               Findings& findings) {
  Donor standbys;
  standbys.connection = conninfo;
  standbys.never_ask_password = true;
  standbys.as_server = true;
  try {
    auto connection = std::make_unique<Connection>(standbys, Purpose::kReplication, nullptr, stop);
    if (system != 0) identify(*connection, system);
    Address reached = connection->address();
    if (reached.port == donor.port && reached.hostaddr == donor.hostaddr && reached.host == donor.host)
      return connection;
    findings.warn("standby_connection",
                  fmt::format("the standby would ask {}:{} first, where its slot is not", reached.host, reached.port),
                  "Name the donor alone, or in a way that leads to no other server.");
  } catch (const Failure& failure) {
    if (failure.kind == Kind::kCancelled || failure.kind == Kind::kBusy) throw;
    const std::string detail = "the standby would not be let in by its primary_conninfo: " + failure.message;
    const std::string hint =
        options.write_password
            ? failure.hint
            : "A password that was typed in, or came by PGPASSWORD, a service or the connection string, is not kept "
              "there: put it into a password file (~/.pgpass, mode 0600) of the user the server runs as, or use "
              "--write-password.";
    // With a command of one's own the server may know it otherwise.
    if (options.start && options.start_command.empty())
      findings.fail("standby_connection", Kind::kPreflight, detail, hint);
    else
      findings.warn("standby_connection", detail, hint);
  }
  return nullptr;
}

int run_check(const Options& options, const StopSource& stop) {
  Findings findings = check_target(options);
  check_both_hosts(options, stop, findings);
  if (options.json) print_json(findings);
  else print_table(findings);
  return findings.exit_code();
}

}  // namespace standby_clone
