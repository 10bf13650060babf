// run.h: one request carried out: in a thread of its own, so that the agent goes on listening.
#pragma once

#include <atomic>
#include <optional>
#include <thread>

#include "helper/agent/request.h"
#include "helper/base/failure.h"
#include "helper/base/stop.h"
#include "helper/options/options.h"

namespace standby_clone {

class Run {
 public:
  // Begins at once. `agent` outlives it.
  Run(const Options& agent, const Request& request);
  // Cancels it if it still goes on, and waits for its end.
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::int64_t id() const { return request_.id; }
  const std::string& uuid() const { return request_.uuid; }
  bool is_done() const { return is_done_; }
  void cancel() { stop_.request(); }

  // After is_done(): why it failed; nothing when it did not.
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  void carry_out();

  const Options& agent_;
  const Request request_;
  StopSource stop_;
  std::optional<Failure> failure_;
  std::atomic<bool> is_done_{false};
  std::thread thread_;
};

// What this host's administrator does not allow: kTargetRefused.
void check_allowed(const Options& agent, const Request& request);

}  // namespace standby_clone
