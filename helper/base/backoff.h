// backoff.h: how often to try again what failed, and for how long.
#pragma once

#include <chrono>
#include <functional>

#include "helper/base/failure.h"
#include "helper/base/stop.h"

namespace standby_clone {

class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  // `patience`: how long after the first failure the last try may begin; 0: no second try.
  Backoff(std::chrono::milliseconds patience, const StopSource& stop)
      : patience_(patience), stop_(stop) {}

  // All is well: the next failure is a first one again.
  void worked();

  // After a failed try: waits before the next one, longer each time. Throws the failure itself
  // if no other connection helps against it; kLostDonor with the failure's words when patience is over;
  // kCancelled on a stop. `may_end`, asked a few times a second, ends the wait early.
  void wait_after(const Failure& failure, const std::function<bool()>& may_end = {});

 private:
  std::chrono::milliseconds patience_;
  const StopSource& stop_;
  Clock::time_point failing_since_{};
  std::chrono::milliseconds delay_{0};
};

}  // namespace standby_clone
