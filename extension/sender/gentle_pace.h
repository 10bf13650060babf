// gentle_pace.h: how much of its speed a gentle clone uses, judged anew each second from
// what others suffer. Pure logic.
#pragma once

#include <cstdint>

namespace sender {

// What is seen at the donor; a negative number: not known, or nothing there to know it of.
struct Strain {
  std::int64_t standby_lag_ms;     // the worst of the other standbys
  std::int64_t standby_lag_bytes;  // WAL sent to none of them yet, or not flushed there
  std::int64_t wal_left_percent;   // of max_slot_wal_keep_size, for the slot that has least
  std::int64_t read_us;            // for a megabyte from the disk, lately
};

enum class StrainKind : std::uint8_t { kNone, kStandbyLag, kWalLeft, kReads };

inline constexpr std::uint32_t kFullPace = 1000;  // permille of the time
inline constexpr std::uint32_t kLeastPace = 20;   // so slow, but never at a stand

struct GentlePace {
  std::uint32_t permille;         // 0 stands for kFullPace
  std::int64_t calm_lag_ms;       // what was usual; grows slowly, falls at once
  std::int64_t calm_lag_bytes;
  std::int64_t calm_read_us;
  bool has_calm_lag, has_calm_bytes, has_calm_reads;
};

// One second has passed. Returns what holds the clone back now.
StrainKind judge_strain(GentlePace& pace, const Strain& strain);

inline std::uint32_t permille_of(const GentlePace& pace) {
  return pace.permille == 0 ? kFullPace : pace.permille;
}

// The rest after `worked_us` of work.
inline std::uint64_t rest_us(std::uint32_t permille, std::uint64_t worked_us) {
  if (permille >= kFullPace || permille == 0) return 0;
  return worked_us * (kFullPace - permille) / permille;
}

}  // namespace sender
