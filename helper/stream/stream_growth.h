// stream_growth.h: how many streams a copy uses when nobody says: few at first, more as long
// as each addition makes it faster. Pure logic.
#pragma once

#include <cstdint>
#include <string>

namespace standby_clone {

// What holds up the streams, in percent of their time.
struct Bounds {
  unsigned link = 0;
  unsigned donor_disk = 0, donor_cpu = 0;
  unsigned disk = 0, cpu = 0;  // of this host
};

// The greatest of them, in words.
std::string name_of_bound(const Bounds& bounds);

class StreamGrowth {
 public:
  // `limit`: the donor's. `spare`: how many connections it can spare. Begins with four, or as many
  // as both allow; one at least.
  StreamGrowth(std::uint16_t limit, std::uint16_t spare);

  // Call it a few times a second. `bytes_done` so far, `spare`: as above, besides those in use.
  // Returns the number of streams there shall be now; it never falls.
  std::uint16_t judge(double now_seconds, std::uint64_t bytes_done, std::uint16_t spare);

  // The last addition was refused: no more.
  void refuse() { limit_ = count_; }

  std::uint16_t count() const { return count_; }
  // True once, when it has found that more would bring nothing.
  bool has_just_settled();

 private:
  void begin_window(double now, std::uint64_t bytes_done);
  void settle(double now);

  std::uint16_t limit_;
  std::uint16_t count_;
  double window_began_ = -1;      // below 0: not begun
  std::uint64_t window_bytes_ = 0;
  double rate_before_ = 0;        // bytes a second, with the number before the last addition
  double asleep_until_ = 0;
  double sleep_;
  bool has_settled_ = false, settled_now_ = false;
};

}  // namespace standby_clone
