// login.cpp: from a name to a connection that a server has let in.
#include "helper/connection/login.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <random>
#include <regex>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include "helper/connection/libpq.h"

namespace standby_clone {
namespace {

// Where the user gave no connect_timeout: a host that is gone must not hide the next one.
constexpr std::chrono::seconds kDefaultLimit{10};
// libpq's own least.
constexpr long kLeastLimit = 2;

// The time that is left for one place.
class Deadline {
 public:
  explicit Deadline(std::chrono::seconds limit)  // 0: none
      : end_(limit.count() == 0 ? Clock::time_point::max() : Clock::now() + limit) {}
  bool is_over() const { return Clock::now() >= end_; }
  // For poll(): a second at most.
  int turn_ms() const {
    if (end_ == Clock::time_point::max()) return 1000;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1000));
  }

 private:
  Clock::time_point end_;
};

// A name server may be as silent as any: it is asked on a thread that can be left alone.
struct Lookup {
  explicit Lookup(std::string name_in) : name(std::move(name_in)) {}

  const std::string name;
  std::atomic<bool> is_done{false};  // after that, the rest belongs to who waits
  Bell bell;
  std::string error;
  std::vector<std::string> addresses;

  void run() {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (int code = getaddrinfo(name.c_str(), nullptr, &hints, &found); code != 0)
      error = gai_strerror(code);
    for (auto* at = found; at != nullptr; at = at->ai_next) {
      char text[NI_MAXHOST];
      if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0)
        addresses.emplace_back(text);
    }
    if (found != nullptr) freeaddrinfo(found);
    is_done = true;
    bell.ring();
  }
};

bool is_numeric(const std::string& host) {
  in6_addr ignored;
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 || host.find(':') != std::string::npos;
}

void shuffle(std::vector<Address>& places) {
  std::shuffle(places.begin(), places.end(), std::mt19937(std::random_device()()));
}

// Where the connection came from, as the server saw it; empty: not said.
std::string client_in(const std::string& text) {
  if (text.find("[local]") != std::string::npos) return "[local]";
  static const std::regex word("[0-9A-Fa-f:.]+");
  for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at) {
    in6_addr ignored;
    std::string found = at->str();
    for (int family : {AF_INET, AF_INET6})
      if (inet_pton(family, found.c_str(), &ignored) == 1) return found;
  }
  return {};
}

}  // namespace

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

ServerWords server_words(const std::string& verbose) {
  // "FATAL:  28000: text", and a last line "LOCATION:  function, file.c:123"; labels in any language.
  static const std::regex state(R"re((:  )([0-9A-Z]{5}): )re");
  static const std::regex location(R"re((^|\n)[^\n]*\w+, [\w./-]+\.\w+:\d+(?=\n|$))re");
  ServerWords words;
  for (std::sregex_iterator at(verbose.begin(), verbose.end(), state), end; at != end; ++at) {
    words.sqlstate = (*at)[2];
    words.said = at->suffix().str();
  }
  words.text = std::regex_replace(verbose, state, "$1");
  if (!words.sqlstate.empty()) words.text = std::regex_replace(words.text, location, "");
  return words;
}

std::string hba_lines(const ServerWords& words, const std::string& user, const std::string& database) {
  // The file's name is in it in every language.
  if (words.sqlstate != "28000" || words.said.find("pg_hba.conf") == std::string::npos) return {};
  std::string client = client_in(words.said);
  auto quoted = [](const std::string& name) { return "\"" + name + "\""; };
  auto line = [&](const std::string& what) {
    if (client == "[local]" || client.empty())
      return fmt::format("  local  {}  {}  scram-sha-256\n", what, quoted(user));
    std::string where = client + (client.find(':') == std::string::npos ? "/32" : "/128");
    return fmt::format("  host  {}  {}  {}  scram-sha-256\n", what, quoted(user), where);
  };
  return line(quoted(database)) + line("replication");
}

Login::~Login() { PQfinish(connection_); }

pg_conn* Login::connect(const std::vector<Address>& hosts, const std::string& session_attrs) {
  std::vector<std::string> rounds{session_attrs};
  if (session_attrs == "prefer-standby") rounds = {"standby", "any"};
  bool is_random = conninfo_.value("load_balance_hosts") == "random";
  std::vector<Address> in_turn = hosts;
  if (is_random) shuffle(in_turn);
  std::optional<Refusal> last;
  std::string all;
  auto note = [&](Refusal refusal) {
    // The same again of another address, or in the second round, says nothing new.
    if (all.find(refusal.failure.message) == std::string::npos)
      all += (all.empty() ? "" : "\n") + refusal.failure.message;
    last = std::move(refusal);
  };
  for (const auto& attrs : rounds) {
    for (const Address& host : in_turn) {
      std::vector<Address> places;
      try {
        places = places_of(host);
      } catch (const Failure& failure) {
        if (failure.kind != Kind::kConnection) throw;
        note({failure, false});
      }
      if (is_random) shuffle(places);
      for (const Address& place : places) {
        auto refusal = try_place(place, attrs);
        if (!refusal) return std::exchange(connection_, nullptr);
        note(std::move(*refusal));
        if (last->is_final) break;
      }
      if (last->is_final) break;
    }
    if (last->is_final) break;
  }
  fail(last->failure.kind, all, last->failure.hint);
}

// Addresses of one name count as hosts of their own.
std::vector<Address> Login::places_of(const Address& host) const {
  bool is_socket = host.host.empty() || host.host[0] == '/' || host.host[0] == '@';
  if (is_socket || !host.hostaddr.empty() || is_numeric(host.host)) return {host};
  auto lookup = std::make_shared<Lookup>(host.host);
  std::thread([lookup] { lookup->run(); }).detach();
  Deadline deadline(limit());
  while (!lookup->is_done) {
    wait_for(-1, 0, deadline.turn_ms(), stop_, &lookup->bell);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped while connecting");
    if (deadline.is_over() && !lookup->is_done)
      fail(Kind::kConnection,
           fmt::format("could not find the address of host \"{}\" within {} s", host.host, limit().count()),
           "Check the donor's host name, and this host's name servers.");
  }
  if (lookup->addresses.empty())
    fail(Kind::kConnection,
         fmt::format("could not find the address of host \"{}\": {}", host.host, lookup->error),
         "Check the donor's host name, and this host's name servers.");
  std::vector<Address> places;
  for (const auto& address : lookup->addresses) {
    places.push_back(host);
    places.back().hostaddr = address;
  }
  return places;
}

// Nothing: connection_ is connected.
std::optional<Login::Refusal> Login::try_place(const Address& place, const std::string& session_attrs) {
  auto refusal = try_once(place, session_attrs);
  if (!refusal || !may_ask_ || !password_.empty()) return refusal;
  if (!PQconnectionNeedsPassword(connection_)) return refusal;
  password_ = ask_for_password();
  return password_.empty() ? refusal : try_once(place, session_attrs);
}

std::optional<Login::Refusal> Login::try_once(const Address& place, const std::string& session_attrs) {
  Keywords keywords;
  for (const auto& option : conninfo_.options()) {
    // What it says is here already.
    bool is_read = option.keyword == "service" || option.keyword == "servicefile";
    bool is_ours = option.keyword == "host" || option.keyword == "hostaddr" ||
                   option.keyword == "port" || option.keyword == "load_balance_hosts";
    if (!is_read && !is_ours) keywords.add(option.keyword, option.value);
  }
  keywords.add("dbname", conninfo_.database());
  keywords.add_given("host", place.host);
  keywords.add_given("hostaddr", place.hostaddr);
  keywords.add_given("port", place.port);
  keywords.add_given("password", password_);
  keywords.add("target_session_attrs", session_attrs.empty() ? "any" : session_attrs);
  if (purpose_ == Purpose::kReplication) {
    keywords.add("replication", "true");
    // A half-made clone must not be taken for the standby it will be (trap 75).
    keywords.add("application_name", "pg_standby_clone");
  }
  PQfinish(connection_);
  connection_ = keywords.start(false);
  PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(
      connection_,
      [](void* notice, const PGresult* result) {
        *static_cast<Notice*>(notice) = {field(result, PG_DIAG_MESSAGE_PRIMARY),
                                         field(result, PG_DIAG_SQLSTATE)};
      },
      &last_notice_);
  Deadline deadline(limit());
  auto next = PQstatus(connection_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) return refusal_at(place);
    short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    short ready = wait_for(PQsocket(connection_), events, deadline.turn_ms(), stop_);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped while connecting");
    if (ready != 0) next = PQconnectPoll(connection_);
    else if (deadline.is_over())
      return Refusal{Failure(Kind::kConnection,
                             fmt::format("could not connect to the donor at \"{}\", port {}, within {} s",
                                         place.hostaddr.empty() ? place.host : place.hostaddr, place.port,
                                         limit().count()),
                             "Check host, port and firewall, or raise connect_timeout."),
                     false};
  }
  PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
  return std::nullopt;
}

std::chrono::seconds Login::limit() const {
  std::string given = conninfo_.value("connect_timeout");
  long seconds = std::strtol(given.c_str(), nullptr, 10);
  if (seconds > 0) return std::chrono::seconds(std::max(seconds, kLeastLimit));
  return !given.empty() && is_first_ ? std::chrono::seconds(0) : kDefaultLimit;
}

// By SQLSTATE: the server may speak any language.
Login::Refusal Login::refusal_at(const Address& place) const {
  ServerWords words = server_words(trimmed(PQerrorMessage(connection_)));
  const std::string& state = words.sqlstate;
  auto refused = [&](Kind kind, const std::string& hint) {
    return Refusal{Failure(kind, words.text, hint), true};
  };
  bool is_replication = purpose_ == Purpose::kReplication;
  std::string lines = hba_lines(words, conninfo_.value("user"), conninfo_.database());
  if (!lines.empty())
    return refused(Kind::kConnection,
                 "Add these lines to the donor's pg_hba.conf, and reload it (SELECT "
                 "pg_reload_conf()):\n" + lines);
  if (state == "53300")
    return refused(Kind::kBusy,
                 is_replication ? "Raise max_wal_senders on the donor (a restart), or end an idle "
                                  "standby connection."
                                : "A clone needs two connections and one for each stream: use fewer "
                                  "--jobs, or raise max_connections.");
  if (state == "42501" && is_replication)
    return refused(Kind::kPreflight, "Connect as a role with the REPLICATION attribute.");
  if (state == "3D000")
    return refused(Kind::kConnection, "Name the database that holds the extension with --dbname (-d).");
  if (PQconnectionNeedsPassword(connection_))
    return refused(Kind::kConnection,
                 "Give the password in ~/.pgpass (a line host:port:database:user:password, and one with "
                 "\"replication\" as the database), in PGPASSWORD, or at the prompt (-W).");
  if (words.text.empty())
    words.text = fmt::format("could not connect to the donor at \"{}\", port {}", place.host, place.port);
  return {Failure(Kind::kConnection, words.text,
                  is_replication ? "The standby will stream over a connection like this one: it must be "
                                   "let in."
                                 : "Check host, port, user and password."),
          // Refused by a server that is up.
          !state.empty() && state != "57P03"};
}

}  // namespace standby_clone
