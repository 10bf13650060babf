// connection.cpp: libpq, without blocking where a stop request must be heard.
#include "helper/connection/connection.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <regex>
#include <termios.h>
#include <unistd.h>
#include <fcntl.h>

#include "protocol/sqlstate.h"

namespace standby_clone {
namespace {

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

std::string trimmed(const char* text) {
  std::string line = text == nullptr ? "" : text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

bool is_conninfo(const std::string& text) {
  return text.find('=') != std::string::npos || text.starts_with("postgres://") ||
         text.starts_with("postgresql://");
}

// From the terminal, without echo. Empty when there is none.
std::string ask_for_password() {
  UniqueFd terminal(open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (!terminal) return {};
  termios before{};
  bool has_echo = tcgetattr(terminal.get(), &before) == 0;
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (has_echo) tcsetattr(terminal.get(), TCSAFLUSH, &silent);
  [[maybe_unused]] auto prompted = ::write(terminal.get(), "Password: ", 10);
  std::string password;
  char letter;
  while (::read(terminal.get(), &letter, 1) == 1 && letter != '\n') password += letter;
  if (has_echo) tcsetattr(terminal.get(), TCSAFLUSH, &before);
  [[maybe_unused]] auto ended = ::write(terminal.get(), "\n", 1);
  return password;
}

struct Keywords {
  std::vector<std::string> names, values;

  void add(const char* name, const std::string& value) {
    names.emplace_back(name);
    values.push_back(value);
  }
  void add_given(const char* name, const std::string& value) {
    if (!value.empty()) add(name, value);
  }
};

constexpr char kDefaultDatabase[] = "postgres";

struct Said {
  bool has_database = false, has_service = false;
};

Said said_in(const std::string& conninfo) {
  char* error = nullptr;
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(conninfo.c_str(), &error), PQconninfoFree);
  if (!options) {
    std::string reason = trimmed(error);
    PQfreemem(error);
    fail(Kind::kUsage, "the connection string cannot be read: " + reason,
         "Correct --dbname (-d).");
  }
  Said said;
  for (auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    said.has_database |= std::strcmp(option->keyword, "dbname") == 0;
    said.has_service |= std::strcmp(option->keyword, "service") == 0;
  }
  return said;
}

// Nobody sets this clock: a jump of the day's time is no silence of the donor's.
using Clock = std::chrono::steady_clock;

// For another connection, where the user gave no connect_timeout.
constexpr long kReconnectSeconds = 10;

std::vector<std::string> split_at_commas(const char* text) {
  std::vector<std::string> parts(1);
  for (const char* letter = text == nullptr ? "" : text; *letter != '\0'; ++letter) {
    if (*letter == ',')
      parts.emplace_back();
    else
      parts.back() += *letter;
  }
  return parts;
}

// The seconds the user gave connect_timeout; 0: none.
long timeout_of(PGconn* connection) {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfo(connection),
                                                                         PQconninfoFree);
  for (auto* option = options.get(); option != nullptr && option->keyword != nullptr; ++option)
    if (std::strcmp(option->keyword, "connect_timeout") == 0 && option->val != nullptr)
      return std::strtol(option->val, nullptr, 10);
  return 0;
}

}  // namespace

void Message::Free::operator()(char* data) const { PQfreemem(data); }

Kind kind_of_sqlstate(const std::string& sqlstate, Kind otherwise) {
  if (sqlstate.empty()) return Kind::kLostDonor;
  if (sqlstate == protocol::kCloneUnknown) return Kind::kSessionGone;
  if (sqlstate == protocol::kLeaseOver) return Kind::kLeaseOver;
  if (sqlstate == protocol::kCloneCancelled) return Kind::kCancelled;
  if (sqlstate == protocol::kCloneFailed) return Kind::kDonorFailed;
  // Connection, rollback (a conflict with recovery), memory, connections, an administrator.
  for (const char* of_connection : {"08", "40", "53200", "53300", "57"})
    if (sqlstate.starts_with(of_connection)) return Kind::kLostDonor;
  if (sqlstate == "XX001" || sqlstate == "XX002") return Kind::kCorrupted;
  return otherwise;
}

std::string hba_lines(const std::string& message, const std::string& database) {
  static const std::regex pattern(
      R"re(no pg_hba\.conf entry for (?:replication connection from )?host "([^"]*)", user "([^"]*)")re");
  std::smatch found;
  std::string address, user;
  if (std::regex_search(message, found, pattern)) {
    address = found[1];
    user = found[2];
  } else {
    return {};
  }
  auto quoted = [](const std::string& name) { return "\"" + name + "\""; };
  bool is_local = address == "[local]";
  std::string where = is_local ? "" : address + (address.find(':') == std::string::npos ? "/32" : "/128");
  auto line = [&](const std::string& what) {
    return is_local ? fmt::format("  local  {}  {}  scram-sha-256\n", what, quoted(user))
                    : fmt::format("  host  {}  {}  {}  scram-sha-256\n", what, quoted(user), where);
  };
  return line(quoted(database)) + line("replication");
}

std::string quote_literal(const std::string& value) {
  std::string quoted = " E'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += letter;
    quoted += letter;
  }
  return quoted + "'";
}

std::string quote_conninfo(const std::string& value) {
  std::string quoted = "'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

Connection::Connection(const Donor& donor, Purpose purpose, const Address* address,
                       const StopSource& stop)
    : stop_(stop) {
  if (address != nullptr) password_ = address->password;
  bool may_ask = address == nullptr && !donor.never_ask_password;
  if (may_ask && donor.ask_password) password_ = ask_for_password();
  try {
    connect(donor, purpose, address);
    is_reconnect_ = address != nullptr;
    if (!finish_connecting() && may_ask && password_.empty() &&
        PQconnectionNeedsPassword(connection_)) {
      password_ = ask_for_password();
      PQfinish(connection_);
      connection_ = nullptr;
      connect(donor, purpose, address);
      finish_connecting();
    }
    if (PQstatus(connection_) != CONNECTION_OK) fail_connecting(purpose);
    if (PQsetnonblocking(connection_, 1) != 0) fail_lost("make a connection non-blocking");
  } catch (...) {
    PQfinish(connection_);
    throw;
  }
}

Connection::~Connection() { PQfinish(connection_); }

void Connection::connect(const Donor& donor, Purpose purpose, const Address* address) {
  Keywords keywords;
  // Before dbname: the user's own words overrule them. A dead peer is noticed in half a
  // minute, not in hours.
  keywords.add("keepalives_idle", "10");
  keywords.add("keepalives_interval", "5");
  keywords.add("keepalives_count", "4");
  keywords.add("tcp_user_timeout", "30000");
  keywords.add("fallback_application_name", "pg_standby_clone");
  primary_only_ = donor.primary_only;
  if (primary_only_) keywords.add("target_session_attrs", "primary");
  bool names_database = false;
  if (is_conninfo(donor.connection)) {
    auto said = said_in(donor.connection);
    names_database = said.has_database;
    keywords.add("dbname", donor.connection);
    // Only the first "dbname" is taken apart; a second one is a name.
    bool has_default = said.has_service || said.has_database || std::getenv("PGDATABASE") != nullptr;
    if (!has_default) keywords.add("dbname", kDefaultDatabase);
  } else {
    names_database = !donor.connection.empty();
    const char* from_environment = std::getenv("PGDATABASE");
    std::string fallback = from_environment != nullptr ? from_environment : kDefaultDatabase;
    keywords.add("dbname", names_database ? donor.connection : fallback);
  }
  user_gave_database_ = names_database;
  // After it: what overrules the conninfo string.
  keywords.add_given("host", donor.host);
  keywords.add_given("port", donor.port);
  keywords.add_given("user", donor.user);
  keywords.add_given("password", password_);
  if (address != nullptr && !address->port.empty()) {
    keywords.add("host", address->host);
    keywords.add("hostaddr", address->hostaddr);
    keywords.add("port", address->port);
    keywords.add("target_session_attrs", "any");
  }
  if (purpose == Purpose::kReplication) {
    keywords.add("replication", "true");
    // A half-made clone must not be taken for the standby it will be (trap 75).
    keywords.add("application_name", "pg_standby_clone");
  }
  std::vector<const char*> names, values;
  for (const auto& name : keywords.names) names.push_back(name.c_str());
  for (const auto& value : keywords.values) values.push_back(value.c_str());
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(names.data(), values.data(), 1);
  if (connection_ == nullptr) fail(Kind::kInternal, "out of memory for a connection");
  PQsetNoticeReceiver(
      connection_,
      [](void* notice, const PGresult* result) {
        *static_cast<std::string*>(notice) = field(result, PG_DIAG_MESSAGE_PRIMARY);
      },
      &last_notice_);
}

// True when connected. False when refused.
bool Connection::finish_connecting() {
  if (PQstatus(connection_) == CONNECTION_BAD) return false;
  long timeout_s = timeout_of(connection_);
  if (timeout_s == 0 && is_reconnect_) timeout_s = kReconnectSeconds;
  auto started = Clock::now();
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (true) {
    if (next == PGRES_POLLING_OK) return true;
    if (next == PGRES_POLLING_FAILED) return false;
    short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    short ready = wait_for(PQsocket(connection_), events, 1000, stop_);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped while connecting");
    if (ready == 0 && timeout_s > 0 && Clock::now() - started >= std::chrono::seconds(timeout_s))
      fail(Kind::kConnection,
           fmt::format("could not connect to the donor within {} s", timeout_s),
           "Check host, port and firewall, or raise connect_timeout.");
    if (ready != 0) next = PQconnectPoll(connection_);
  }
}

void Connection::fail_connecting(Purpose purpose) const {
  std::string message = trimmed(PQerrorMessage(connection_));
  const char* database = PQdb(connection_);
  std::string lines = hba_lines(message, database == nullptr ? "postgres" : database);
  if (!lines.empty())
    fail(Kind::kConnection, message,
         "Add these lines to the donor's pg_hba.conf, and reload it (SELECT pg_reload_conf()):\n" +
             lines);
  if (message.find("too many clients") != std::string::npos ||
      message.find("remaining connection slots") != std::string::npos ||
      message.find("too many connections") != std::string::npos)
    fail(Kind::kBusy, message,
         "A clone needs two connections and one for each stream: use fewer --jobs, or raise "
         "max_connections.");
  if (message.find("max_wal_senders") != std::string::npos)
    fail(Kind::kBusy, message,
         "Raise max_wal_senders on the donor (a restart), or end an idle standby connection.");
  if (message.find("must be superuser or replication role") != std::string::npos ||
      message.find("permission denied to start WAL sender") != std::string::npos)
    fail(Kind::kPreflight, message, "Connect as a role with the REPLICATION attribute.");
  if (message.find("database \"") != std::string::npos &&
      message.find("does not exist") != std::string::npos)
    fail(Kind::kConnection, message,
         "Name the database that holds the extension with --dbname (-d).");
  if (message.empty()) message = "could not connect to the donor";
  fail(Kind::kConnection, message,
       purpose == Purpose::kReplication
           ? "The standby will stream over a connection like this one: it must be let in."
           : "Check host, port, user and password.");
}

void Connection::fail_lost(const std::string& what) const {
  if (stop_.requested()) fail(Kind::kCancelled, "stopped");
  // libpq's further lines guess at what the first says.
  std::string reason = trimmed(PQerrorMessage(connection_));
  reason = reason.substr(0, reason.find('\n'));
  if (!last_notice_.empty()) reason += " (" + last_notice_ + ")";
  fail(Kind::kLostDonor, fmt::format("could not {}: {}", what, reason),
       "See the donor's log; then run the clone again.");
}

Address Connection::address() const {
  auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  return {text(PQhost(connection_)), text(PQhostaddr(connection_)), text(PQport(connection_)),
          password_};
}

std::vector<Address> Connection::choices() const {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfo(connection_),
                                                                         PQconninfoFree);
  std::vector<std::string> hosts(1), addresses(1), ports(1);
  for (auto* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    std::string keyword = option->keyword;
    if (keyword == "host") hosts = split_at_commas(option->val);
    if (keyword == "hostaddr") addresses = split_at_commas(option->val);
    if (keyword == "port") ports = split_at_commas(option->val);
  }
  std::vector<Address> choices(std::max(hosts.size(), addresses.size()));
  for (std::size_t index = 0; index < choices.size(); ++index) {
    if (index < hosts.size()) choices[index].host = hosts[index];
    if (index < addresses.size()) choices[index].hostaddr = addresses[index];
    // One port is for all hosts.
    choices[index].port = ports[ports.size() == 1 ? 0 : std::min(index, ports.size() - 1)];
    choices[index].password = password_;
  }
  return choices;
}

int Connection::server_version() const { return PQserverVersion(connection_); }
int Connection::backend_pid() const { return PQbackendPID(connection_); }

std::string Connection::database() const { return PQdb(connection_); }

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
  query("SELECT pg_catalog.set_config('search_path', '', false), pg_catalog.set_config("
        "'client_encoding', pg_catalog.current_setting('server_encoding'), false)" + timeouts,
        Kind::kPreflight);
}

Rows Connection::query(const std::string& statement, Kind kind) {
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

void Connection::start_copy_both(const std::string& statement, Kind kind) {
  if (PQsendQuery(connection_, statement.c_str()) == 0) fail_lost("send a query");
  Result result = next_result(kind);
  if (result == nullptr || PQresultStatus(result.get()) != PGRES_COPY_BOTH)
    fail(Kind::kPreflight, "the server did not answer \"" + statement + "\" with a copy",
         "Connect to a PostgreSQL server itself, not to a pooler.");
  copy_ended_ = false;
}

void Connection::pass_by_libpq() {
  if (PQsslInUse(connection_) || PQgssEncInUse(connection_)) return;
  socket_.emplace(PQsocket(connection_));
  libpq_reads_ = false;
}

void Connection::consume_input() {
  if (PQconsumeInput(connection_) == 0) fail_lost("receive from the donor");
}

void Connection::flush() {
  if (socket_) {
    output_pending_ = !socket_->flush();
    return;
  }
  int pending = PQflush(connection_);
  if (pending < 0) fail_lost("send to the donor");
  output_pending_ = pending > 0;
}

void Connection::queue(protocol::Bytes message) {
  if (socket_) return socket_->queue(message);
  if (PQputCopyData(connection_, reinterpret_cast<const char*>(message.data()),
                    static_cast<int>(message.size())) != 1)
    fail_lost("send to the donor");
}

void Connection::send(protocol::Bytes message) {
  queue(message);
  flush();
}

std::optional<Message> Connection::receive() {
  if (copy_ended_) return std::nullopt;
  if (!libpq_reads_) {
    protocol::Bytes content;
    auto got = socket_->receive(content);
    if (got == CopySocket::Got::kMessage) return Message(content);
    if (got == CopySocket::Got::kNothing) return std::nullopt;
    // An error, a notice, an end: libpq reads them, and may read what stands behind.
    libpq_reads_ = true;
    consume_input();
  }
  char* data = nullptr;
  int size = PQgetCopyData(connection_, &data, 1);
  if (size > 0) return Message(data, static_cast<std::size_t>(size));
  if (size == 0) return std::nullopt;
  if (size == -2) fail_lost("receive from the donor");
  // The copy is over: an error that tells why, or an end in order.
  copy_ended_ = true;
  next_result(Kind::kDonorFailed);
  return std::nullopt;
}

bool Connection::wait(int timeout_ms, Bell* bell) {
  short events = output_pending_ ? POLLIN | POLLOUT : POLLIN;
  short ready = wait_for(PQsocket(connection_), events, timeout_ms, stop_, bell);
  if (ready & POLLOUT) flush();
  if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0) return false;
  if (libpq_reads_) consume_input();
  return true;
}

void Connection::drop_notifications() {
  while (PGnotify* notification = PQnotifies(connection_)) PQfreemem(notification);
}

void Connection::end_copy() {
  if (socket_)
    socket_->queue_end();
  else if (PQputCopyEnd(connection_, nullptr) < 0)
    fail_lost("end the copy");
  flush();
}

std::string Connection::standby_conninfo(const std::string& application_name, bool with_password,
                                         bool with_database) const {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfo(connection_),
                                                                         PQconninfoFree);
  if (!options) fail(Kind::kInternal, "out of memory for connection options");
  constexpr const char* kLeftOut[] = {"replication", "fallback_application_name",
                                      "application_name"};
  // Ours, unless the user gave others.
  constexpr std::pair<const char*, const char*> kOurs[] = {{"keepalives_idle", "10"},
                                                           {"keepalives_interval", "5"},
                                                           {"keepalives_count", "4"},
                                                           {"tcp_user_timeout", "30000"}};
  std::string line = "application_name=" + quote_conninfo(application_name);
  for (auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || option->val[0] == '\0') continue;
    std::string keyword = option->keyword, value = option->val;
    bool is_left_out = false;
    for (const char* name : kLeftOut) is_left_out |= keyword == name;
    for (auto& [name, ours] : kOurs) is_left_out |= keyword == name && value == ours;
    if (keyword == "password" && !with_password) is_left_out = true;
    // libpq names its default file whether it is there or not.
    if (keyword == "passfile" && access(option->val, R_OK) != 0) is_left_out = true;
    if (keyword == "target_session_attrs" && primary_only_ && value == "primary") is_left_out = true;
    if (keyword == "dbname" && !(with_database && user_gave_database_)) is_left_out = true;
    if (option->compiled != nullptr && value == option->compiled && keyword != "port")
      is_left_out = true;
    if (is_left_out) continue;
    line += " " + keyword + "=" + quote_conninfo(value);
  }
  return line;
}

}  // namespace standby_clone
