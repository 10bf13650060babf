// sessions.cpp: what is known of the sessions before decides.
#include "helper/clone/sessions.h"

#include <algorithm>
#include <fmt/format.h>

namespace standby_clone {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kInVainMax = 10;
// A lease that ends twice before anything has come is too short for this donor.
constexpr unsigned kLeasesInVainMax = 2;
constexpr std::size_t kPerMinuteMax = 3;
constexpr milliseconds kFirstDelay{1000}, kLastDelay{60000};

}  // namespace

milliseconds SessionsInARow::wait_after(const LostSession& lost, Clock::time_point now) {
  note_progress(lost.bytes_done);
  check_crash(lost);
  leases_in_vain_ = lost.failure.kind == Kind::kLeaseOver && in_vain_ > 0 ? leases_in_vain_ + 1 : 0;
  if (leases_in_vain_ >= kLeasesInVainMax)
    fail(Kind::kLeaseOver, lost.failure.message + "; and so it did with the session before",
         "Raise pg_standby_clone.reconnect_timeout on the donor, then run the clone again.");
  if (in_vain_ >= kInVainMax)
    fail(Kind::kLostDonor,
         fmt::format("{} sessions one after the other came no further: {}", in_vain_, lost.failure.message),
         "See the donor's log for what ends them; then run the clone again.");
  milliseconds wait{0};
  if (in_vain_ > 0)
    wait = std::min(kFirstDelay * (1u << (in_vain_ - 1)), kLastDelay);
  ends_.push_back(now);
  // The one that comes now is one of the minute, too.
  if (ends_.size() > kPerMinuteMax) ends_.pop_front();
  if (ends_.size() == kPerMinuteMax)
    wait = std::max(wait, std::chrono::ceil<milliseconds>(ends_.front() + seconds(60) - now));
  return wait;
}

void SessionsInARow::note_progress(std::uint64_t bytes_done) {
  if (bytes_done > furthest_)
    in_vain_ = 0;
  else
    ++in_vain_;
  furthest_ = std::max(furthest_, bytes_done);
}

void SessionsInARow::check_crash(const LostSession& lost) {
  std::set<std::string> before = std::move(crashed_over_);
  crashed_over_ = lost.crashed_over;
  for (const auto& path : crashed_over_)
    if (before.contains(path))
      fail(Kind::kLostDonor,
           fmt::format("the donor crashed twice while it read file \"{}\": {}", path, lost.failure.message),
           "See the donor's log; look at that file, and at the disk it lies on, before you run the clone "
           "again.");
}

}  // namespace standby_clone
