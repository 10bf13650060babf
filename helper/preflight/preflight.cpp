// preflight.cpp: the order of the checks.
#include "helper/preflight/preflight.h"

#include <fmt/format.h>
#include <memory>

#include "helper/preflight/donor.h"
#include "helper/preflight/host.h"
#include "helper/preflight/report.h"
#include "helper/wal/receiver.h"

namespace standby_clone {
namespace {

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

// The standby will stream over a connection like this one.
void check_replication(const Options& options, const Address& address, std::uint64_t system,
                       const StopSource& stop, Findings& findings) {
  attempt("replication", findings, [&] {
    Connection connection(donor_of(options), Purpose::kReplication, &address, stop);
    if (system != 0) identify(connection, system);
    findings.ok("replication", "a replication connection is let in");
  });
}

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
  if (!is_known || donor.system_identifier == 0) return;
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
  check_space(options, donor, findings);
  check_host(options, donor, stop, findings);
  return findings;
}

int run_check(const Options& options, const StopSource& stop) {
  Findings findings = check_target(options);
  check_both_hosts(options, stop, findings);
  if (options.json) print_json(findings);
  else print_table(findings);
  return findings.exit_code();
}

}  // namespace standby_clone
