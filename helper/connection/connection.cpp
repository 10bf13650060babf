// connection.cpp: libpq, without blocking where a stop request must be heard.
#include "helper/connection/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include "helper/base/text.h"
#include "helper/connection/libpq.h"
#include "protocol/sqlstate.h"

namespace standby_clone {

namespace {

constexpr char kCrashShutdown[] = "57P02";

}  // namespace

Kind kind_of_sqlstate(const std::string& sqlstate, Kind otherwise) {
  if (sqlstate.empty()) return Kind::kLostDonor;
  if (sqlstate == protocol::kCloneUnknown) return Kind::kSessionGone;
  if (sqlstate == protocol::kLeaseOver) return Kind::kLeaseOver;
  if (sqlstate == protocol::kCloneCancelled) return Kind::kCancelled;
  if (sqlstate == protocol::kCloneFailed) return Kind::kDonorFailed;
  if (sqlstate == kCrashShutdown) return Kind::kDonorCrashed;
  // Connection, rollback (a conflict with recovery), memory, connections, an administrator.
  for (const char* of_connection : {"08", "40", "53200", "53300", "57"})
    if (sqlstate.starts_with(of_connection)) return Kind::kLostDonor;
  if (sqlstate == "XX001" || sqlstate == "XX002") return Kind::kCorrupted;
  return otherwise;
}

std::string quote_literal(const std::string& value) {
  std::string quoted = " E'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += letter;
    quoted += letter;
  }
  return quoted + "'";
}

Connection::Connection(const Donor& donor, Purpose purpose, const Address* address,
                       const StopSource& stop)
    : conninfo_(donor), stop_(stop) {
  Login login(conninfo_, purpose, last_notice_, stop);
  if (address != nullptr)
    login.use_password(address->password);
  else
    login.is_first(!donor.never_ask_password);
  if (address == nullptr && donor.ask_password && !donor.never_ask_password)
    login.use_password(ask_for_password());
  bool is_given = address != nullptr && !address->port.empty();
  connection_ = is_given ? login.connect({*address}, "any")
                         : login.connect(conninfo_.hosts(), conninfo_.value("target_session_attrs"));
  password_ = login.password();
  if (PQsetnonblocking(connection_, 1) == 0) return;
  PQfinish(connection_);
  fail(Kind::kInternal, "out of memory for a connection");
}

Connection::~Connection() { PQfinish(connection_); }

void Connection::fail_lost(const std::string& what) const {
  if (stop_.requested()) fail(Kind::kCancelled, "stopped");
  // libpq's further lines guess at what the first says.
  std::string reason = trimmed(PQerrorMessage(connection_));
  reason = reason.substr(0, reason.find('\n'));
  if (!last_notice_.text.empty()) reason += " (" + last_notice_.text + ")";
  // What has crashed says nothing; the others are told.
  bool has_crashed = last_notice_.sqlstate == kCrashShutdown;
  fail(has_crashed ? Kind::kDonorCrashed : Kind::kLostDonor, fmt::format("could not {}: {}", what, reason),
       "See the donor's log; then run the clone again.");
}

Address Connection::address() const {
  auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  return {text(PQhost(connection_)), text(PQhostaddr(connection_)), text(PQport(connection_)),
          password_};
}

std::vector<Address> Connection::choices() const {
  std::vector<Address> choices = conninfo_.hosts();
  for (Address& choice : choices) choice.password = password_;
  return choices;
}

int Connection::server_version() const { return PQserverVersion(connection_); }
int Connection::backend_pid() const { return PQbackendPID(connection_); }

std::string Connection::database() const { return PQdb(connection_); }

bool Connection::in_recovery() const {
  const char* state = PQparameterStatus(connection_, "in_hot_standby");
  return state != nullptr && std::string_view(state) == "on";
}

std::string Connection::text_of(std::string_view bytes) const {
  const char* encoding = PQparameterStatus(connection_, "server_encoding");
  std::string name = encoding == nullptr ? "" : encoding;
  return readable(bytes, name != "UTF8" && name != "SQL_ASCII");
}

Result Connection::next_result(Kind kind) {
  auto deadline = Clock::now() + kAnswerLimit;
  while (PQisBusy(connection_)) {
    if (stop_.requested()) fail(Kind::kCancelled, "stopped");
    if (Clock::now() > deadline)
      fail(Kind::kLostDonor,
           fmt::format("the donor did not answer within {} s", kAnswerLimit.count()),
           "Check the network between the hosts.");
    flush();
    if (wait(1000) && PQconsumeInput(connection_) == 0) fail_lost("hear from the donor");
  }
  Result result(PQgetResult(connection_), PQclear);
  if (result == nullptr) return result;
  auto status = PQresultStatus(result.get());
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return result;
  std::string message = field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) fail_lost("hear from the donor");
  if (auto detail = field(result.get(), PG_DIAG_MESSAGE_DETAIL); !detail.empty())
    message += " (" + detail + ")";
  throw Failure(kind_of_sqlstate(field(result.get(), PG_DIAG_SQLSTATE), kind), message,
                field(result.get(), PG_DIAG_MESSAGE_HINT));
}

// All in one statement, where nothing is looked up by search_path.
void Connection::ignore_role_settings() {
  std::string timeouts;
  for (const char* name : {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
                           "idle_session_timeout"})
    timeouts += fmt::format(", pg_catalog.set_config('{}', '0', false)", name);
  if (server_version() >= 170000)
    timeouts += ", pg_catalog.set_config('transaction_timeout', '0', false)";
  Rows rows = query("SELECT pg_catalog.pg_postmaster_start_time(), "
                    "pg_catalog.set_config('search_path', '', false), pg_catalog.set_config("
                    "'client_encoding', pg_catalog.current_setting('server_encoding'), false)" + timeouts,
                    Kind::kPreflight);
  server_start_ = rows.at(0).at(0).value_or("");
}

Rows Connection::query(const std::string& statement, Kind kind) {
  // A refusal was thrown with the end of its answer still to come.
  while (next_result(kind)) continue;
  if (PQsendQuery(connection_, statement.c_str()) == 0) fail_lost("send a query");
  return finish_copy(kind);
}

Rows Connection::finish_copy(Kind kind) {
  Rows rows;
  while (Result result = next_result(kind)) {
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      auto& values = rows.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); ++column) {
        bool is_null = PQgetisnull(result.get(), row, column);
        values.push_back(is_null ? std::nullopt
                                 : std::optional<std::string>(
                                       std::in_place, PQgetvalue(result.get(), row, column),
                                       PQgetlength(result.get(), row, column)));
      }
    }
  }
  return rows;
}

void Connection::consume_input() {
  if (PQconsumeInput(connection_) == 0) fail_lost("receive from the donor");
}

bool Connection::wait(int timeout_ms, Bell* bell) {
  short events = output_pending_ ? POLLIN | POLLOUT : POLLIN;
  short ready = wait_for(PQsocket(connection_), events, timeout_ms, stop_, bell);
  if (ready & POLLOUT) flush();
  if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0) return false;
  if (libpq_reads_) consume_input();
  return true;
}

bool Connection::drop_notifications() {
  bool had_some = false;
  while (PGnotify* notification = PQnotifies(connection_)) {
    PQfreemem(notification);
    had_some = true;
  }
  return had_some;
}

}  // namespace standby_clone
