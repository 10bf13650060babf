// stop.h: the request to stop, seen by every thread within a second.
#pragma once

#include <atomic>
#include <string>

#include "helper/base/bell.h"

namespace standby_clone {

class StopSource {
 public:
  StopSource();
  // A request of the parent's is one here, but not the other way round.
  explicit StopSource(const StopSource* parent);

  // Safe in a signal handler and from any thread. `signal`: the one that asks; 0: none.
  void request(int signal = 0) noexcept;
  bool requested() const noexcept {
    return requested_.load(std::memory_order_acquire) ||
           (parent_ != nullptr && parent_->requested());
  }

  // The signal that was the first to ask, here or there; 0: none was.
  int signal() const noexcept {
    int own = signal_.load(std::memory_order_acquire);
    return own == 0 && parent_ != nullptr ? parent_->signal() : own;
  }

  // Becomes readable with the request and stays so: for poll().
  int fd() const noexcept { return event_.fd(); }
  const StopSource* parent() const noexcept { return parent_; }

 private:
  const StopSource* parent_ = nullptr;
  std::atomic<int> signal_{0};
  std::atomic<bool> requested_{false};
  Bell event_;  // never silenced
};

// "stopped", with the signal if it was one.
std::string words_of(const StopSource& stop);

// Waits until `fd` is ready for `events` (poll's), the stop is requested, the bell has been rung,
// or the time is over. Returns the events that occurred on `fd`, 0 for none. A negative fd waits
// for the rest only.
short wait_for(int fd, short events, int timeout_ms, const StopSource& stop, Bell* bell = nullptr);

}  // namespace standby_clone
