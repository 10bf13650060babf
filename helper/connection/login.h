// login.h: how a server lets us in, and what its refusal means to who may change it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "helper/base/failure.h"
#include "helper/base/stop.h"
#include "helper/connection/conninfo.h"

struct pg_conn;

namespace standby_clone {

enum class Purpose { kDatabase, kReplication };

// Often the server's reason for an end that follows.
struct Notice {
  std::string text, sqlstate;
};

// libpq would spend one limit of time on all places together (trap 99): here each place, one address of
// one host, is a connection of its own, with the whole limit.
class Login {
 public:
  // `last_notice` outlives the connection: there its server's notices go.
  Login(const Conninfo& conninfo, Purpose purpose, Notice& last_notice, const StopSource& stop)
      : conninfo_(conninfo), purpose_(purpose), last_notice_(last_notice), stop_(stop) {}
  ~Login();
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  // For the first connection: a password may be asked for on the terminal, and who gave
  // connect_timeout=0 waits for ever.
  void is_first(bool may_ask) { is_first_ = true, may_ask_ = may_ask; }
  void use_password(std::string password) { password_ = std::move(password); }

  // The first of these hosts that lets us in and is of the wanted kind: as libpq means it, but that each
  // address of a name is tried where one is of the wrong kind, too. A server that refuses us ends
  // the search, unless it starts up or shuts down.
  pg_conn* connect(const std::vector<Address>& hosts, const std::string& session_attrs);

  const std::string& password() const { return password_; }

 private:
  struct Refusal {
    Failure failure;
    bool is_final;
  };
  std::vector<Address> places_of(const Address& host) const;
  std::optional<Refusal> try_place(const Address& place, const std::string& session_attrs);
  std::optional<Refusal> try_once(const Address& place, const std::string& session_attrs);
  Refusal refusal_at(const Address& place) const;
  std::chrono::seconds limit() const;

  const Conninfo& conninfo_;
  const Purpose purpose_;
  Notice& last_notice_;
  const StopSource& stop_;
  bool is_first_ = false, may_ask_ = false;
  std::string password_;
  pg_conn* connection_ = nullptr;
};

// From the terminal, without echo. Empty when there is none.
std::string ask_for_password();

// What PQERRORS_VERBOSE makes of a server's refusal, taken apart again.
struct ServerWords {
  std::string text;      // as without
  std::string sqlstate;  // of the last refusal; empty: not of a server
  std::string said;      // what follows that
};
ServerWords server_words(const std::string& verbose);

// Ready-made pg_hba.conf lines, if the server says, in whatever language, that none lets us in; empty if not.
std::string hba_lines(const ServerWords& words, const std::string& user, const std::string& database);

}  // namespace standby_clone
