// donor.cpp: SQL that asks the donor, and what its answers mean here.
#include "helper/preflight/donor.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "protocol/version.h"

namespace standby_clone {
namespace {

std::string quote_identifier(const std::string& name) {
  std::string quoted = "\"";
  for (char letter : name) {
    if (letter == '"') quoted += '"';
    quoted += letter;
  }
  return quoted + "\"";
}

template <class Number>
Number number_in(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// "NAME\nFILE\nVALUE"
Setting setting_in(const std::string& text) {
  auto name_end = text.find('\n');
  auto file_end = text.find('\n', name_end + 1);
  if (name_end == std::string::npos || file_end == std::string::npos) return {};
  Setting setting{text.substr(0, name_end), text.substr(file_end + 1),
                  text.substr(name_end + 1, file_end - name_end - 1)};
  std::transform(setting.name.begin(), setting.name.end(), setting.name.begin(), ::tolower);
  return setting;
}

void take_fact(DonorReport& report, const std::string& name, const std::string& value,
               Findings& findings) {
  if (name == "place.data") report.data.directory = value;
  else if (name == "place.tablespace") report.tablespaces.push_back({value, 0});
  else if (name == "system_identifier") report.system_identifier = number_in<std::uint64_t>(value);
  else if (name == "wal_rate") report.wal_rate = number_in<std::uint64_t>(value);
  else if (name == "wal_segment_size") report.wal_segment_size = number_in<std::uint64_t>(value);
  else if (name == "libc_version") report.libc_version = value;
  else if (name == "icu_version") report.icu_version = value;
  else if (name == "external_files") report.external_files = lines_of(value);
  else if (name == "configuration.directory") report.data_directory = value;
  else if (name == "configuration.file") report.configuration_file = value;
  else if (name == "configuration.setting") report.configuration.settings.push_back(setting_in(value));
  else if (name == "configuration.error") report.configuration_errors.push_back(value);
  else if (name == "configuration.include") report.configuration_includes.push_back(value);
  else if (name == "configuration.link") report.configuration_links.push_back(value);
  else if (name == "free_connections") report.free_connections = number_in<long>(value);
  else if (name == "protocol_version" && number_in<int>(value) != protocol::kProtocolVersion)
    findings.fail("extension", Kind::kPreflight,
                  fmt::format("this program speaks protocol version {}, the donor's extension {}",
                              protocol::kProtocolVersion, value),
                  "Install the same version of pg_standby_clone on both hosts.");
}

void take_finding(const std::string& check, const std::string& status, const std::string& detail,
                  const std::string& hint, Findings& findings) {
  // Our own attempts know better than a reading of pg_hba.conf.
  if (check == "pg_hba") return;
  Verdict verdict = status == "ok"        ? Verdict::kOk
                    : status == "warning" ? Verdict::kWarning
                                          : Verdict::kError;
  findings.add({check, verdict, detail, hint, Kind::kPreflight});
}

void check_rights(Connection& connection, Findings& findings) {
  Rows rows = connection.query(
      "SELECT rolname, rolsuper OR rolreplication, pg_catalog.quote_ident(rolname) "
      "FROM pg_catalog.pg_roles WHERE rolname = current_user",
      Kind::kPreflight);
  if (rows.empty() || !rows[0][0]) return;
  if (rows[0][1] == "t")
    findings.ok("rights", fmt::format("role \"{}\" may clone", *rows[0][0]));
  else
    findings.fail("rights", Kind::kPreflight,
                  fmt::format("role \"{}\" may not clone this server", *rows[0][0]),
                  fmt::format("Grant it with ALTER ROLE {} REPLICATION.", *rows[0][2]));
}

void ask_collations(Connection& connection, DonorReport& report) {
  for (const auto& row : connection.query(
           "SELECT datlocprovider, datname, datcollversion IS NOT NULL, datcollate, datctype "
           "FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname",
           Kind::kPreflight)) {
    if (!row[0] || !row[1]) continue;
    if (row[2] == "t" && *row[0] == "c") report.libc_databases.push_back(*row[1]);
    if (row[2] == "t" && *row[0] == "i") report.icu_databases.push_back(*row[1]);
    if (row[3]) report.locales.emplace_back(*row[1], *row[3]);
    if (row[4] && row[4] != row[3]) report.locales.emplace_back(*row[1], *row[4]);
  }
}

// What a standby must have at least as much of as the donor.
std::vector<HotSetting> read_hot_settings(Connection& connection) {
  Rows rows = connection.query(
      "SELECT name, setting, boot_val "
      "FROM pg_catalog.pg_settings WHERE name IN ('max_connections', 'max_worker_processes', "
      "'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')",
      Kind::kPreflight);
  std::vector<HotSetting> settings;
  for (const auto& row : rows)
    settings.push_back({row[0].value_or(""), number_in<std::int64_t>(row[1].value_or("0")),
                        number_in<std::int64_t>(row[2].value_or("0"))});
  return settings;
}

}  // namespace

Donor donor_of(const Options& options) {
  // Requests are the primary's: an agent, and what it clones, want no standby.
  return {options.connection,         options.host,
          options.port,               options.user,
          options.never_ask_password, options.ask_password,
          options.command == Command::kAgent};
}

std::string find_extension(Connection& connection) {
  if (connection.server_version() < 150000)
    fail(Kind::kPreflight,
         fmt::format("the donor runs PostgreSQL {}, pg_standby_clone needs 15 or later",
                     connection.server_version() / 10000),
         "Use pg_basebackup for this server.");
  connection.ignore_role_settings();
  Rows rows = connection.query(
      "SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), e.extversion, "
      "EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = "
      "'pg_standby_clone_kept_records') "
      "FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace "
      "WHERE e.extname = 'pg_standby_clone'",
      Kind::kPreflight);
  if (rows.empty() || !rows[0][0]) {
    Rows available = connection.query(
        "SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'pg_standby_clone'",
        Kind::kPreflight);
    Rows database = connection.query(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database() AND datistemplate",
        Kind::kPreflight);
    if (!database.empty())
      fail(Kind::kPreflight,
           fmt::format("\"{}\" is a template database, a clone cannot be made through it",
                       connection.database()),
           "Name the database that holds the extension with --dbname (-d).");
    std::string create = fmt::format(
        "Run in database \"{}\" of the donor, as a superuser: CREATE EXTENSION pg_standby_clone; "
        "or name another database with --dbname (-d).",
        connection.database());
    fail(Kind::kPreflight,
         fmt::format("extension pg_standby_clone is not in database \"{}\" of the donor",
                     connection.database()),
         available.empty() ? "Install pg_standby_clone on the donor's host first (make install). " + create
                           : create);
  }
  if (rows[0][1] == "f")
    fail(Kind::kPreflight,
         fmt::format("permission denied for schema {} of extension pg_standby_clone", *rows[0][0]),
         fmt::format("Run on the donor: GRANT USAGE ON SCHEMA {} TO this role.",
                     quote_identifier(*rows[0][0])));
  if (rows[0][3] == "f")
    fail(Kind::kPreflight,
         fmt::format("the objects of extension pg_standby_clone on the donor are of version {}, which "
                     "is too old for this program",
                     rows[0][2].value_or("?")),
         fmt::format("Run in database \"{}\" of the donor: ALTER EXTENSION pg_standby_clone UPDATE.",
                     connection.database()));
  return quote_identifier(*rows[0][0]);
}

DonorReport ask_donor(Connection& connection, const std::string& schema, Findings& findings) {
  DonorReport report;
  report.server_version = connection.server_version();
  check_rights(connection, findings);
  if (findings.count(Verdict::kError) > 0) return report;  // it would not answer
  for (const auto& row : connection.query(
           fmt::format("SELECT \"check\", status, detail, hint FROM {}.pg_standby_clone_preflight()",
                       schema),
           Kind::kPreflight)) {
    const std::string check = row[0].value_or(""), status = row[1].value_or(""),
                      detail = row[2].value_or(""), hint = row[3].value_or("");
    if (status == "fact") take_fact(report, check, detail, findings);
    else take_finding(check, status, detail, hint, findings);
  }
  ask_collations(connection, report);
  report.settings = read_hot_settings(connection);
  return report;
}

}  // namespace standby_clone
