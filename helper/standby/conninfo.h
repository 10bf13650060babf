// conninfo.h: primary_conninfo, as the standby's server can use it: another process, in another directory and
// environment, that must find the one server that has its slot.
#pragma once

#include <string>
#include <vector>

#include "helper/connection/conninfo.h"

namespace standby_clone {

struct StandbyWay {
  std::string application_name;
  bool with_secrets = false;
  bool with_database = false;
  bool to_standby = false;  // the donor is one: the standby cascades from it
};

// `options`: the user's, as libpq has put them together; `hosts`: all that they name; `donor`: the one of them that was
// reached, and has the slot.
std::string standby_conninfo(const std::vector<ConninfoOption>& options, const std::vector<Address>& hosts,
                             const Address& donor, const StandbyWay& way);

}  // namespace standby_clone
