// rate.cpp: the token bucket, kept as the time at which it is level again.
#include "extension/sender/rate.h"

namespace sender {
namespace {

// What may be sent at once after a silence: an eighth of a second's worth, as
// BASE_BACKUP's throttling.
constexpr std::uint64_t kBurstUs = 125000;

}  // namespace

std::uint64_t take_from_bucket(session::SessionArea* area, std::uint64_t bytes) {
  std::uint64_t rate = pg_atomic_read_u64(&area->max_rate);
  if (rate == 0) return 0;
  std::uint64_t now = session::monotonic_us();
  std::uint64_t cost = bytes * 1000000 / rate;
  SpinLockAcquire(&area->rate_lock);
  std::uint64_t earliest = now > kBurstUs ? now - kBurstUs : 0;
  std::uint64_t next = Max(area->rate_next_us, earliest) + cost;
  area->rate_next_us = next;
  SpinLockRelease(&area->rate_lock);
  return next > now ? next - now : 0;
}

std::uint32_t frame_size_for(session::SessionArea* area) {
  std::uint64_t rate = pg_atomic_read_u64(&area->max_rate);
  if (rate == 0) return protocol::kFramePlainMax;
  std::uint64_t wanted = rate / 8 / BLCKSZ * BLCKSZ;
  return static_cast<std::uint32_t>(
      Min(Max(wanted, std::uint64_t{BLCKSZ}), std::uint64_t{protocol::kFramePlainMax}));
}

}  // namespace sender
