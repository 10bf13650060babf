// queue.h: the agent's connection to the primary: registers it, hears of requests, hands them out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "helper/base/stop.h"
#include "helper/connection/connection.h"
#include "helper/options/options.h"

namespace standby_clone {

struct QueuedRequest {
  std::int64_t id = 0;
  std::string options;  // JSON
  std::string uuid;     // its identity: after a failover another may have its number
};

// Every function may fail with kConnection or kLostDonor: then leave(), and enter() again.
class RequestQueue {
 public:
  RequestQueue(const Options& options, const StopSource& stop) : options_(options), stop_(stop) {}

  // Connects to the primary among the hosts of the connection string, registers this agent,
  // listens. Fails with kPreflight where the primary refuses: no extension, no right, the name taken.
  void enter();
  void leave() { connection_.reset(); }
  bool is_entered() const { return connection_ != nullptr; }

  // Tells the primary what the directory holds and what the agent does.
  void show(const std::string& destination_state, const std::string& activity);
  // The oldest request that waits, or that an agent of this name left behind.
  std::optional<QueuedRequest> next();
  // Ends a request of which no clone has begun; does nothing to others. False if the primary does not
  // know it (any more). Fails with kPreflight where it cannot take the error.
  bool refuse(std::int64_t id, const std::string& uuid, const std::string& error);

  // Waits until the primary says something, the stop, or the time.
  void wait(int timeout_ms);

  std::uint64_t system_identifier() const { return system_identifier_; }
  std::string primary() const;  // host and port, for people

 private:
  Rows call(const std::string& function);

  const Options& options_;
  const StopSource& stop_;
  std::unique_ptr<Connection> connection_;
  std::string schema_;  // quoted
  std::uint64_t system_identifier_ = 0;
};

}  // namespace standby_clone
