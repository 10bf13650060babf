// login.cpp: from the first packet until the server lets us in, or what its refusal means.
#include "helper/connection/login.h"

#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <regex>
#include <termios.h>
#include <unistd.h>

#include "helper/connection/connection.h"
#include "helper/connection/libpq.h"

namespace standby_clone {
namespace {

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

// For another connection, where the user gave no connect_timeout.
constexpr long kReconnectSeconds = 10;

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

}  // namespace standby_clone
