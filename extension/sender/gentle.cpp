// gentle.cpp: what others suffer, from the server's shared memory.
#include "extension/sender/gentle.h"

#include "extension/changes/survey.h"
#include "extension/pg/insides.h"

namespace sender {
namespace {

constexpr std::uint64_t kLookIntervalUs = 1000000;

// Less than this is too little to say how fast the disk is.
constexpr std::uint64_t kReadBytesMin = 1024 * 1024;

// What pg_stat_replication shows of other standbys. A clone's WAL receiver, ours or
// another's, never says how far it is and is none.
void look_at_standbys(const session::SessionArea& area, XLogRecPtr end, Strain& strain) {
  pg::for_each_wal_sender([&](const pg::WalSender& sender) {
    if (sender.pid == area.wal_sender_pid || sender.flushed == InvalidXLogRecPtr) return;
    if (sender.state != WALSNDSTATE_STREAMING && sender.state != WALSNDSTATE_CATCHUP) return;
    std::int64_t behind = end > sender.flushed ? static_cast<std::int64_t>(end - sender.flushed) : 0;
    strain.standby_lag_bytes = Max(strain.standby_lag_bytes, behind);
    if (sender.flush_lag_us >= 0) strain.standby_lag_ms = Max(strain.standby_lag_ms, sender.flush_lag_us / 1000);
  });
}

void look_at_slots(XLogRecPtr end, Strain& strain) {
  if (max_slot_wal_keep_size_mb <= 0) return;
  std::uint64_t limit = static_cast<std::uint64_t>(max_slot_wal_keep_size_mb) << 20;
  pg::for_each_slot([&](const pg::Slot& slot) {
    if (slot.is_lost || slot.restart_lsn == InvalidXLogRecPtr || slot.restart_lsn >= end) return;
    std::uint64_t used = Min(static_cast<std::uint64_t>(end - slot.restart_lsn), limit);
    auto left = static_cast<std::int64_t>((limit - used) * 100 / limit);
    if (strain.wal_left_percent < 0 || left < strain.wal_left_percent)
      strain.wal_left_percent = left;
  });
}

void look_at_reads(session::SessionArea* area, Strain& strain) {
  std::uint64_t bytes = pg_atomic_read_u64(&area->disk_read_bytes);
  if (bytes < kReadBytesMin) return;
  pg_atomic_fetch_sub_u64(&area->disk_read_bytes, static_cast<std::int64_t>(bytes));
  std::uint64_t us = pg_atomic_exchange_u64(&area->disk_read_us, 0);
  strain.read_us = static_cast<std::int64_t>(us * 1024 * 1024 / bytes);
}

void look_around(session::SessionArea* area) {
  Strain strain{-1, -1, -1, -1};
  XLogRecPtr end = changes::end_of_wal();
  look_at_standbys(*area, end, strain);
  look_at_slots(end, strain);
  look_at_reads(area, strain);
  SpinLockAcquire(&area->rate_lock);
  StrainKind kind = judge_strain(area->gentle_pace, strain);
  std::uint32_t permille = permille_of(area->gentle_pace);
  SpinLockRelease(&area->rate_lock);
  std::uint32_t before = pg_atomic_exchange_u32(&area->gentle_permille, permille);
  if (before == kFullPace && kind != StrainKind::kNone)
    ereport(LOG, errmsg("pg_standby_clone: the clone slows down: %s",
                        kind == StrainKind::kStandbyLag ? "a standby falls behind"
                        : kind == StrainKind::kWalLeft
                            ? "a slot nears max_slot_wal_keep_size"
                            : "reading from the disk takes longer than before"));
  else if (before != kFullPace && permille == kFullPace)
    ereport(LOG, errmsg("pg_standby_clone: the clone runs at full speed again"));
}

}  // namespace

std::uint32_t gentle_permille(session::SessionArea* area) {
  if (!area->gentle) return kFullPace;
  std::uint64_t now = session::monotonic_us();
  std::uint64_t due = pg_atomic_read_u64(&area->gentle_look_us);
  if (now >= due &&
      pg_atomic_compare_exchange_u64(&area->gentle_look_us, &due, now + kLookIntervalUs))
    look_around(area);
  return pg_atomic_read_u32(&area->gentle_permille);
}

void note_disk_read(session::SessionArea* area, std::uint64_t bytes, std::uint64_t us) {
  pg_atomic_fetch_add_u64(&area->disk_read_bytes, static_cast<std::int64_t>(bytes));
  pg_atomic_fetch_add_u64(&area->disk_read_us, static_cast<std::int64_t>(us));
}

}  // namespace sender
