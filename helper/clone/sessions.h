// sessions.h: how many sessions one run may begin, one after the other. Each costs the donor a checkpoint.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "helper/base/failure.h"

namespace standby_clone {

// A session that was lost, and not by a fault of ours.
struct LostSession {
  Failure failure;
  std::uint64_t bytes_done = 0;       // how far it came, what was here already included
  std::set<std::string> crashed_over;  // files that the donor was reading when it crashed
};

class SessionsInARow {
 public:
  using Clock = std::chrono::steady_clock;

  // How long to wait before the next one. Throws the failure that ends the run instead, if another
  // session would most likely end as these did.
  std::chrono::milliseconds wait_after(const LostSession& lost, Clock::time_point now);

 private:
  void note_progress(std::uint64_t bytes_done);
  void check_crash(const LostSession& lost);

  std::deque<Clock::time_point> ends_;
  std::uint64_t furthest_ = 0;
  unsigned in_vain_ = 0;  // the last ones, which came no further than one before them
  unsigned leases_in_vain_ = 0;
  std::set<std::string> crashed_over_;  // by the last one
};

}  // namespace standby_clone
