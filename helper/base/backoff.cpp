// backoff.cpp: doubling delays.
#include "helper/base/backoff.h"

#include <algorithm>

#include "helper/base/size.h"

namespace standby_clone {
namespace {

using std::chrono::milliseconds;

// A restarted server is back in seconds; one that is away for minutes must not be pestered.
constexpr milliseconds kFirstDelay{200}, kLastDelay{5000};
constexpr milliseconds kTurn{200};

}  // namespace

void Backoff::worked() {
  failing_since_ = {};
  delay_ = milliseconds(0);
}

void Backoff::wait_after(const Failure& failure, const std::function<bool()>& may_end) {
  if (remedy_of(failure.kind) != Remedy::kReconnect) throw failure;
  auto now = Clock::now();
  if (failing_since_ == Clock::time_point{}) failing_since_ = now;
  auto last = failing_since_ + patience_;
  if (now >= last) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience_).count();
    std::string tried =
        seconds > 0 ? "could not reach the donor again within " +
                          human_time(static_cast<std::uint64_t>(seconds)) + ": "
                    : "";
    fail(Kind::kLostDonor, tried + failure.message,
         failure.hint.empty() ? "See the donor's log; then run the clone again." : failure.hint);
  }
  delay_ = std::clamp(delay_ * 2, kFirstDelay, kLastDelay);
  // The last try is made when patience ends, not long before.
  auto until = std::min<Clock::time_point>(now + delay_, last);
  while ((now = Clock::now()) < until) {
    auto left = std::chrono::ceil<milliseconds>(until - now);
    wait_for(-1, 0, static_cast<int>(std::min(left, kTurn).count()), stop_);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped");
    if (may_end && may_end()) return;
  }
}

}  // namespace standby_clone
