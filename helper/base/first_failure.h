// first_failure.h: several threads, one cause. The first failure wins and asks all
// others to stop; what they fail with because of that is not reported.
#pragma once

#include <exception>
#include <mutex>

#include "helper/base/stop.h"

namespace standby_clone {

class FirstFailure {
 public:
  explicit FirstFailure(StopSource& stop) : stop_(stop) {}

  // In a catch block, at a thread's end.
  void keep_current() {
    std::lock_guard lock(mutex_);
    if (!first_ && !stop_.requested()) first_ = std::current_exception();
    stop_.request();
  }
  void rethrow_if_any() {
    std::lock_guard lock(mutex_);
    if (first_) std::rethrow_exception(first_);
  }

 private:
  StopSource& stop_;
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace standby_clone
