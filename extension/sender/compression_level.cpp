// compression_level.cpp: what the steps next to this one would bring, from what this one does;
// the lowest of those that are about the fastest.
#include "extension/sender/compression_level.h"

#include <algorithm>

namespace sender {
namespace {

// What a level costs, in times of level 1: zstd 1.5, by `make micro-bench`, in
// frames of 128 kB. A first guess only: what a level really cost corrects `cost`.
constexpr double kCostOf[kLevelSteps] = {0, 1.0, 3.0, 5.0, 6.5, 8.5, 20.0};

// A step up must promise so much, or it is not taken; a step down may cost so much.
constexpr double kUpMin = 1.04;
constexpr double kDownMin = 0.98;

// Link and processor below this share of the time: the helper is what is waited for.
constexpr double kBusyMin = 0.85;
constexpr double kLinkMin = 0.60;

// Compression that leaves more than this of the bytes is none.
constexpr double kIncompressibleRatio = 0.95;

// A step that was too much is tried again after this, and twice as long each time.
constexpr std::uint64_t kHoldMinUs = 2000000;
constexpr std::uint64_t kHoldMaxUs = 60000000;

// Where the helper is the bound, a lower step would do as well; unless it had filled the link:
// then it is left alone for so long, and twice as long each time it does so again. Streams
// share the link: the room one finds in it is often what the others leave by compressing.
constexpr std::uint64_t kPatienceMinUs = 5000000;
constexpr std::uint64_t kPatienceMaxUs = 120000000;

void smooth(double& value, double sample) {
  value = value == 0 ? sample : 0.6 * value + 0.4 * sample;
}

// What a window says.
struct Seen {
  double base;         // us a plain byte, without compression
  double helper_rate;  // plain bytes per us that the helper takes, where it is the bound; else without limit
  bool is_helper_bound;
  bool is_link_full;
};

void learn(LevelControl& control, const Window& window) {
  // Below a hundredth of the time the kernel's ticks are all that is seen.
  double link_us = std::max<double>(static_cast<double>(window.link_us),
                                    static_cast<double>(window.wall_us) / 100);
  smooth(control.link_rate, static_cast<double>(window.wire_bytes) / link_us);
  if (window.packed_bytes == 0) return;
  int step = std::max(control.step, 1);  // trials are of the first step
  double bytes = static_cast<double>(window.packed_bytes);
  smooth(control.cost, static_cast<double>(window.packing_us) / bytes / kCostOf[step]);
  smooth(control.ratio[step], static_cast<double>(window.packed_wire_bytes) / bytes);
}

Seen look(const Window& window) {
  double wall = static_cast<double>(window.wall_us);
  double plain = static_cast<double>(window.plain_bytes);
  double busy = std::max(wall - static_cast<double>(window.idle_us), 0.0);
  Seen seen;
  seen.base = std::max(busy - static_cast<double>(window.packing_us), 0.0) / plain;
  seen.is_link_full = static_cast<double>(window.link_us) >= kLinkMin * wall;
  seen.is_helper_bound = busy / wall < kBusyMin && !seen.is_link_full;
  seen.helper_rate = seen.is_helper_bound ? plain / wall : 1e12;
  return seen;
}

// A step that was not used yet is hoped to leave so much of what its neighbour left: enough
// for it to be tried.
constexpr double kHope = 0.93;

// Wire bytes a plain byte.
double ratio_at(const LevelControl& control, int step) {
  if (step == 0) return 1;
  if (control.ratio[step] > 0) return control.ratio[step];
  for (int known = step - 1; known > 0; --known)
    if (control.ratio[known] > 0) return control.ratio[known] * kHope;
  return 1;
}

double speed_at(const LevelControl& control, const Seen& seen, int step) {
  double computing = seen.base + control.cost * kCostOf[step];
  double by_processor = computing > 0 ? 1 / computing : 1e12;
  return std::min({by_processor, control.link_rate / ratio_at(control, step), seen.helper_rate});
}

// Against a step that is sure to bring so much nothing is held.
constexpr double kClearGain = 1.3;

bool may_rise(LevelControl& control, const Seen& seen, double here, std::uint64_t now_us) {
  int next = control.step + 1;
  if (next == kLevelSteps) return false;
  if (control.held_until_us != 0 && now_us >= control.held_until_us) {
    // What was learned above may be true no more.
    control.held_until_us = 0;
    for (int step = next; step < kLevelSteps; ++step)
      if (step > 1) control.ratio[step] = 0;
  }
  bool is_held = control.held_until_us != 0 && next >= control.held_step;
  if (is_held && speed_at(control, seen, next) < here * kClearGain) return false;
  if (!seen.is_link_full) return false;
  if (control.step > 0) return true;
  // What the first step brings the trials have to tell.
  control.wants_trial = true;
  return control.ratio[1] > 0 && control.ratio[1] <= kIncompressibleRatio;
}

bool may_fall_to(const LevelControl& control, const Seen& seen, int step, std::uint64_t now_us) {
  return !seen.is_helper_bound || control.full_at_us[step] == 0 ||
         now_us - control.full_at_us[step] > control.patience_us;
}

void note_full(LevelControl& control, std::uint64_t now_us) {
  std::uint64_t& last = control.full_at_us[control.step];
  bool is_again = last != 0 && now_us - last > kPatienceMinUs;
  control.patience_us = std::clamp(is_again ? control.patience_us * 2 : control.patience_us,
                                   kPatienceMinUs, kPatienceMaxUs);
  last = now_us;
}

void fall(LevelControl& control, std::uint64_t now_us) {
  control.hold_us = std::clamp(control.hold_us * 2, kHoldMinUs, kHoldMaxUs);
  control.held_step = control.step;
  control.held_until_us = now_us + control.hold_us;
  --control.step;
}

}  // namespace

int judge_window(LevelControl& control, const Window& window, std::uint64_t now_us) {
  if (window.wall_us == 0 || window.plain_bytes == 0) return level_of(control);
  learn(control, window);
  control.wants_trial = false;
  Seen seen = look(window);
  if (seen.is_link_full) note_full(control, now_us);
  double here = speed_at(control, seen, control.step);
  if (control.step > 0 && may_fall_to(control, seen, control.step - 1, now_us) &&
      speed_at(control, seen, control.step - 1) >= here * kDownMin) {
    // Where nothing at all is gained by it, straight to none.
    bool is_vain = may_fall_to(control, seen, 0, now_us) &&
                   speed_at(control, seen, 0) >= here * kDownMin;
    fall(control, now_us);
    if (is_vain) control.step = 0;
  } else if (may_rise(control, seen, here, now_us) &&
             speed_at(control, seen, control.step + 1) > here * kUpMin) {
    ++control.step;
  }
  return level_of(control);
}

bool worth_trying(Incompressible& state) {
  if (state.left == 0) return true;
  --state.left;
  return false;
}

bool note_packed(Incompressible& state, std::uint64_t plain, std::uint64_t packed) {
  if (static_cast<double>(packed) <= static_cast<double>(plain) * kIncompressibleRatio) {
    state = {};
    return true;
  }
  state.run = std::clamp(state.run * 2, std::uint32_t{1}, kIncompressibleRunMax);
  state.left = state.run;
  return false;
}

}  // namespace sender
