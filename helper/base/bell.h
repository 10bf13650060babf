// bell.h: wakes the one thread that waits for what others do.
#pragma once

#include "helper/base/unique_fd.h"

namespace standby_clone {

class Bell {
 public:
  Bell();

  // Any thread. Who waits with it in wait_for() returns at once, or from its next wait.
  void ring() noexcept;
  // By the one that waits: until it is rung again.
  void silence() noexcept;
  int fd() const noexcept { return event_.get(); }

 private:
  UniqueFd event_;
};

}  // namespace standby_clone
