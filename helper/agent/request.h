// request.h: what request_standby_clone() asks an agent for, and what becomes of it on this host:
// the agent's own options, changed only where a request may change them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "helper/options/options.h"

namespace standby_clone {

struct Request {
  std::int64_t id = 0;
  std::string uuid;  // its identity beyond the number; whoever has parsed it fills this in
  std::optional<std::string> jobs, compress, max_rate, checkpoint;
  bool delta = false;
  Delta way = Delta::kAuto;  // of that
  std::optional<bool> start, gentle;
};

// `options` is the JSON object of the request. Fails with kUsage on what this program does not know:
// an extension that is newer may offer more, and nothing asked for is left out in silence.
Request parse_request(std::int64_t id, const std::string& options);

// The options of the clone. Never a path, a command or a connection of the request's. Fails with kUsage
// on values that the command line would refuse too.
Options options_of(const Options& agent, const Request& request);

}  // namespace standby_clone
