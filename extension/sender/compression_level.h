// compression_level.h: how hard a stream compresses, chosen anew for each window of
// time from what it saw. Pure logic: the tests play links and processors to it.
#pragma once

#include <cstdint>

namespace sender {

// 0: not at all. The levels in between those of the ladder gain too little to be a step
// of their own; above the last one a frame of 128 kB gains nothing.
inline constexpr int kLevels[] = {0, 1, 3, 5, 7, 9, 12};
inline constexpr int kLevelSteps = sizeof(kLevels) / sizeof(kLevels[0]);

// Where the time of one stream went, and what it made of its bytes.
struct Window {
  std::uint64_t wall_us;
  std::uint64_t link_us;      // the link had bytes of ours to carry, and the helper room for them
  std::uint64_t idle_us;      // this process waited, for whatever
  std::uint64_t plain_bytes;  // sent, before compression
  std::uint64_t wire_bytes;   // sent, after it
  std::uint64_t packed_bytes;       // plain bytes that were tried to compress
  std::uint64_t packed_wire_bytes;  // what they became
  std::uint64_t packing_us;         // how long it took
};

// One a stream. All zeros is the start: no compression.
struct LevelControl {
  int step;                   // in kLevels
  double cost;                // us to compress a plain byte at level 1; 0: not known yet
  double ratio[kLevelSteps];  // wire bytes a plain byte; 0: not known yet
  double link_rate;           // bytes per us that the link takes while it is busy
  bool wants_trial;           // compress a frame now and then, to learn what it would bring
  int held_step;              // this step and those above were too much ...
  std::uint64_t held_until_us;
  std::uint64_t hold_us;      // ... for so long
  std::uint64_t full_at_us[kLevelSteps];  // when the link was full last, with this step
  std::uint64_t patience_us;  // how long that is remembered
};

// Judges a window that ended at `now_us`; returns the level for the next one.
int judge_window(LevelControl& control, const Window& window, std::uint64_t now_us);

inline int level_of(const LevelControl& control) { return kLevels[control.step]; }

// Which frames are worth trying: data that has just proved incompressible mostly goes on
// so, and is tried again after a growing number of frames.
struct Incompressible {
  std::uint32_t run;   // frames left out in a row, last time
  std::uint32_t left;  // frames still to leave out
};

inline constexpr std::uint32_t kIncompressibleRunMax = 32;

// May this frame be tried?
bool worth_trying(Incompressible& state);
// A frame was tried; returns whether the packed form is worth sending.
bool note_packed(Incompressible& state, std::uint64_t plain, std::uint64_t packed);

}  // namespace sender
