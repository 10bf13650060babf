// meter.cpp: windows of time.
#include "extension/sender/meter.h"

namespace sender {
namespace {

// Long enough for some frames over a slow link, short enough that a clone of seconds finds its level.
constexpr std::uint64_t kWindowUs = 100000;

std::uint32_t percent_of(std::uint64_t part, std::uint64_t whole) {
  return static_cast<std::uint32_t>(Min(part * 100 / whole, std::uint64_t{100}));
}

void begin_window(Meter& meter, std::uint64_t now_us) {
  meter.window = {};
  meter.read_us = 0;
  meter.began_us = now_us;
}

}  // namespace

void note_wait(Meter& meter, std::uint64_t us) { meter.window.idle_us += us; }

// It is full as long as bytes of ours lie before it while the helper waits for them.
void look_at_link(Meter& meter) {
  std::uint64_t now = session::monotonic_us();
  bool is_full = pq_is_send_pending() || bytes_not_sent(MyProcPort->sock) > 0;
  std::uint64_t passed = meter.looked_us > 0 ? now - meter.looked_us : 0;
  std::uint64_t waited = passed * meter.helper_waited / 100;
  if (is_full) meter.window.link_us += waited;
  // It has become empty somewhere in between.
  if (!is_full && meter.was_full) meter.window.link_us += waited / 2;
  meter.looked_us = now;
  meter.was_full = is_full;
}

bool end_window(Meter& meter, session::StreamSlot& slot, Window& ended) {
  std::uint64_t now = session::monotonic_us();
  if (meter.began_us == 0) begin_window(meter, now);
  if (now - meter.began_us < kWindowUs) return false;
  ended = meter.window;
  ended.wall_us = now - meter.began_us;
  std::uint64_t busy = ended.wall_us - Min(ended.idle_us, ended.wall_us);
  std::uint64_t reading = Min(meter.read_us, busy);
  pg_atomic_write_u32(&slot.shares, percent_of(ended.link_us, ended.wall_us) |
                                        percent_of(reading, ended.wall_us) << 8 |
                                        percent_of(busy - reading, ended.wall_us) << 16);
  begin_window(meter, now);
  return true;
}

}  // namespace sender
