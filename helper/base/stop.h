// stop.h: the request to stop, seen by every thread within a second.
#pragma once

#include <atomic>

#include "helper/base/bell.h"

namespace standby_clone {

class StopSource {
 public:
  StopSource();
  // A request of the parent's is one here, but not the other way round.
  explicit StopSource(const StopSource* parent);

  // Safe in a signal handler and from any thread.
  void request() noexcept;
  bool requested() const noexcept {
    return requested_.load(std::memory_order_acquire) ||
           (parent_ != nullptr && parent_->requested());
  }

  // Becomes readable with the request and stays so: for poll().
  int fd() const noexcept { return event_.fd(); }
  const StopSource* parent() const noexcept { return parent_; }

 private:
  const StopSource* parent_ = nullptr;
  std::atomic<bool> requested_{false};
  Bell event_;  // never silenced
};

// Waits until `fd` is ready for `events` (poll's), the stop is requested, the bell has been rung,
// or the time is over. Returns the events that occurred on `fd`, 0 for none. A negative fd waits
// for the rest only.
short wait_for(int fd, short events, int timeout_ms, const StopSource& stop, Bell* bell = nullptr);

}  // namespace standby_clone
