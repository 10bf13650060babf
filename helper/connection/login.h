// login.h: what a server's refusal means to who may change it.
#pragma once

#include <string>

namespace standby_clone {

// Ready-made pg_hba.conf lines if `message` is the server's "no pg_hba.conf entry";
// empty if not.
std::string hba_lines(const std::string& message, const std::string& database);

}  // namespace standby_clone
