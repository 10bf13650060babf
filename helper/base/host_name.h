// host_name.h: what this host calls itself.
#pragma once

#include <string>
#include <unistd.h>

namespace standby_clone {

// Empty: it has no name.
inline std::string host_name() {
  char name[256] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

}  // namespace standby_clone
