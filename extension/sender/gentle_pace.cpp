// gentle_pace.cpp: halves at each second of strain, comes back by quarters, as TCP does: two
// clones, or a clone and what slows down beside it, settle at a share each.
#include "extension/sender/gentle_pace.h"

#include <algorithm>

namespace sender {
namespace {

// A standby this far behind is behind, however it was before ...
constexpr std::int64_t kLagMs = 1000;
constexpr std::int64_t kLagBytes = 32 << 20;
// ... unless it was so from the start: then, when it falls back further by this factor.
constexpr std::int64_t kLagFactor = 2;

constexpr std::int64_t kWalLeftPercent = 30;

// A read that takes this many times what it took, and at least so long: others wait for
// the disk as well.
constexpr std::int64_t kReadFactor = 3;
constexpr std::int64_t kReadUs = 4000;

constexpr std::uint32_t kRecovery = kFullPace / 4;

// Is it strained; learns what is usual. The usual follows a better value at once, a worse
// one by a hundredth of the way a second.
bool rises(std::int64_t now, std::int64_t least, std::int64_t factor, std::int64_t& calm,
           bool& has_calm) {
  if (now < 0) return false;
  if (!has_calm || now < calm) calm = now;
  has_calm = true;
  bool is_strained = now > least && now > calm * factor;
  calm += (now - calm) / 100;
  return is_strained;
}

StrainKind kind_of(GentlePace& pace, const Strain& strain) {
  bool lags = rises(strain.standby_lag_ms, kLagMs, kLagFactor, pace.calm_lag_ms, pace.has_calm_lag);
  lags |= rises(strain.standby_lag_bytes, kLagBytes, kLagFactor, pace.calm_lag_bytes,
                pace.has_calm_bytes);
  bool reads_slowly =
      rises(strain.read_us, kReadUs, kReadFactor, pace.calm_read_us, pace.has_calm_reads);
  if (strain.wal_left_percent >= 0 && strain.wal_left_percent < kWalLeftPercent)
    return StrainKind::kWalLeft;
  if (lags) return StrainKind::kStandbyLag;
  return reads_slowly ? StrainKind::kReads : StrainKind::kNone;
}

}  // namespace

StrainKind judge_strain(GentlePace& pace, const Strain& strain) {
  StrainKind kind = kind_of(pace, strain);
  std::uint32_t now = permille_of(pace);
  pace.permille = kind == StrainKind::kNone ? std::min(now + kRecovery, kFullPace)
                                            : std::max(now / 2, kLeastPace);
  return kind;
}

}  // namespace sender
