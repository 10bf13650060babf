// stream_growth.cpp: one measure, bytes in a window of time; one question, did it grow.
#include "helper/stream/stream_growth.h"

#include <algorithm>

namespace standby_clone {
namespace {

// Enough to keep a disk and two processors busy: a copy of some seconds that begins with two takes
// a third longer. More do nothing there, and cost connections.
constexpr std::uint16_t kFirstCount = 4;

// A new stream connects and fills its pipeline first; then it is measured.
constexpr double kSettleSeconds = 0.15;
constexpr double kWindowSeconds = 0.35;

// An addition by a third that brings less than this is not what the copy waits for.
constexpr double kGainMin = 1.08;

// The answer may change: other files, a busier hour. It is asked again after this, and twice
// as long each time.
constexpr double kSleepMin = 10, kSleepMax = 600;

}  // namespace

std::string name_of_bound(const Bounds& bounds) {
  const std::pair<unsigned, const char*> kinds[] = {
      {bounds.link, "the link"},
      {bounds.donor_disk, "the donor's disk"},
      {bounds.disk, "this host's disk"},
      {bounds.donor_cpu, "the donor's processors"},
      {bounds.cpu, "this host's processors"}};
  auto greatest = std::max_element(
      std::begin(kinds), std::end(kinds),
      [](const auto& left, const auto& right) { return left.first < right.first; });
  return greatest->first == 0 ? "not known yet" : greatest->second;
}

StreamGrowth::StreamGrowth(std::uint16_t limit, std::uint16_t spare)
    : limit_(limit),
      count_(std::max<std::uint16_t>(1, std::min({limit, spare, kFirstCount}))),
      sleep_(kSleepMin) {}

void StreamGrowth::begin_window(double now, std::uint64_t bytes_done) {
  window_began_ = now;
  window_bytes_ = bytes_done;
}

void StreamGrowth::settle(double now) {
  settled_now_ = !has_settled_;
  has_settled_ = true;
  asleep_until_ = now + sleep_;
  sleep_ = std::min(sleep_ * 2, kSleepMax);
  window_began_ = -1;
  rate_before_ = 0;
}

bool StreamGrowth::has_just_settled() {
  bool now = settled_now_;
  settled_now_ = false;
  return now;
}

std::uint16_t StreamGrowth::judge(double now, std::uint64_t bytes_done, std::uint16_t spare) {
  if (now < asleep_until_) return count_;
  if (window_began_ < 0) {
    // Nothing is measured before the first bytes have come.
    if (bytes_done > 0) begin_window(now + kSettleSeconds, bytes_done);
    return count_;
  }
  if (now < window_began_) {
    window_bytes_ = bytes_done;
    return count_;
  }
  if (now - window_began_ < kWindowSeconds) return count_;
  double rate = static_cast<double>(bytes_done - window_bytes_) / (now - window_began_);
  bool has_grown = rate_before_ == 0 || rate > rate_before_ * kGainMin;
  auto wanted = static_cast<std::uint16_t>(std::max(1, count_ / 2));
  auto added = std::min({wanted, static_cast<std::uint16_t>(limit_ - count_), spare});
  if (!has_grown || added == 0) {
    settle(now);
    return count_;
  }
  rate_before_ = rate;
  count_ += added;
  begin_window(now + kSettleSeconds, bytes_done);
  return count_;
}

}  // namespace standby_clone
