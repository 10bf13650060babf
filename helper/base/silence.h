// silence.h: for how long a peer that owes something has said nothing.
#pragma once

#include <algorithm>
#include <chrono>

namespace standby_clone {

// Only waits in vain count, and each for no longer than it was meant to last: whoever is busy with
// a disk, or was stopped for a while, has not listened. One thread only.
class Silence {
 public:
  using Clock = std::chrono::steady_clock;

  // No limit: 0.
  explicit Silence(std::chrono::milliseconds limit) : limit_(limit) {}

  // Something came, or nothing is owed.
  void end() { lasted_ = {}; }
  void waited(Clock::duration took, std::chrono::milliseconds meant) {
    lasted_ += std::min<Clock::duration>(took, meant);
  }
  bool is_too_long() const { return limit_.count() > 0 && lasted_ >= limit_; }

 private:
  std::chrono::milliseconds limit_;
  Clock::duration lasted_{};
};

}  // namespace standby_clone
