// conninfo.h: how the donor is named: what the user says, and one place of those it leads to.
#pragma once

#include <string>

namespace standby_clone {

// What the user said about the donor.
struct Donor {
  std::string connection;  // conninfo, URI, or a database's name
  std::string host, port, user;
  bool never_ask_password = false;
  bool ask_password = false;
  bool primary_only = false;  // of several hosts the one that is no standby
};

// Where the first connection ended up; all others go there too, whatever a multi-host
// string or a name server would choose next. Without a port the user's words decide.
struct Address {
  std::string host, hostaddr, port;
  std::string password;  // as it was given at the prompt; empty: none was
};

// "key='value'" as conninfo strings want it.
std::string quote_conninfo(const std::string& value);

}  // namespace standby_clone
