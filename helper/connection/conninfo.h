// conninfo.h: how the donor is named: what the user's words lead to, as libpq reads them.
#pragma once

#include <string>
#include <vector>

namespace standby_clone {

// What the user said about the donor.
struct Donor {
  std::string connection;  // conninfo, URI, or a database's name
  std::string host, port, user;
  bool never_ask_password = false;
  bool ask_password = false;
  bool primary_only = false;  // of several hosts the one that is no standby
  bool as_server = false;  // `connection` is a primary_conninfo: nothing else counts, and nothing of our environment
};

// Where the first connection ended up; all others go there too, whatever a multi-host
// string or a name server would choose next. Without a port the user's words decide.
struct Address {
  std::string host, hostaddr, port;
  std::string password;  // as it was given at the prompt; empty: none was
};

struct ConninfoOption {
  std::string keyword, value;
  bool is_default = false;  // libpq's own, or ours
  bool is_secret = false;
};

// The user's words, the service they name, the environment (PGHOST, PGSERVICE, ...) and libpq's
// defaults, put together by libpq itself.
class Conninfo {
 public:
  // Connects nowhere. Fails with kUsage.
  explicit Conninfo(const Donor& donor);

  // Those that have a value; dbname is there if anybody named one.
  const std::vector<ConninfoOption>& options() const { return options_; }
  std::string value(const std::string& keyword) const;  // "": none

  std::string database() const;  // else ours
  // All hosts in their order, not resolved.
  std::vector<Address> hosts() const;

 private:
  void read_as_server(const std::string& conninfo);

  std::vector<ConninfoOption> options_;
};

// Moves PGPASSWORD and PGSERVICE out of the environment: each Conninfo has them, but libpq does not find them where
// it connects as the standby's server will. Before there are threads.
void take_environment();

// "key='value'" as conninfo strings want it.
std::string quote_conninfo(const std::string& value);

}  // namespace standby_clone
