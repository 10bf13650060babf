// The table of states, a test a row.
#include "helper/delta/base.h"

#include <gtest/gtest.h>

namespace standby_clone {
namespace {

ControlFile control_in(ClusterState state) {
  ControlFile control;
  control.state = state;
  control.checkpoint = 0x3000060;
  control.redo = 0x3000028;
  control.timeline = 2;
  return control;
}

ControlFile standby_in(ClusterState state) {
  ControlFile control = control_in(state);
  control.minimum_recovery = 0x4000000;
  control.minimum_recovery_timeline = 3;
  return control;
}

Traces wal_up_to(Lsn end) {
  Traces traces;
  traces.end_of_wal = end;
  return traces;
}

TEST(Base, of_a_primary_shut_down_reaches_the_end_of_its_last_record) {
  Base base = base_of(control_in(ClusterState::kShutDown), wal_up_to(0x30000D8));
  EXPECT_EQ(base.everything_up_to, Lsn{0x3000028});
  EXPECT_EQ(base.timeline, 2u);
  EXPECT_EQ(base.reach, Lsn{0x30000D8});
  EXPECT_TRUE(base.was_primary);
  EXPECT_TRUE(base.is_in_order);
}

TEST(Base, of_a_primary_shut_down_whose_wal_is_gone_is_not_known) {
  EXPECT_FALSE(base_of(control_in(ClusterState::kShutDown), wal_up_to(0)).reach);
}

TEST(Base, of_a_standby_shut_down_reaches_what_it_had_to) {
  Base base = base_of(standby_in(ClusterState::kShutDownInRecovery), wal_up_to(0x5000000));
  EXPECT_EQ(base.reach, Lsn{0x4000000});
  EXPECT_EQ(base.reach_timeline, 3u);
  EXPECT_TRUE(base.is_in_order);
  EXPECT_FALSE(base.was_primary);
}

// Visibility flags and hints have no position that minimum_recovery would follow.
TEST(Base, of_a_standby_that_crashed_reaches_all_the_wal_it_has) {
  EXPECT_EQ(base_of(standby_in(ClusterState::kInArchiveRecovery), wal_up_to(0x5000000)).reach, Lsn{0x5000000});
  EXPECT_EQ(base_of(standby_in(ClusterState::kInArchiveRecovery), wal_up_to(0)).reach, Lsn{0x4000000});
}

TEST(Base, of_a_backup_whose_end_never_came_is_known_by_its_manifest_alone) {
  ControlFile control = standby_in(ClusterState::kInArchiveRecovery);
  control.backup_start = 0x3000028;
  EXPECT_FALSE(base_of(control, wal_up_to(0x5000000)).reach);
  Traces traces = wal_up_to(0);
  traces.manifest_end = 0x4500000;
  EXPECT_EQ(base_of(control, traces).reach, Lsn{0x4500000});
}

TEST(Base, of_a_backup_that_never_ran_begins_at_its_label) {
  Traces traces;
  traces.has_backup_label = true;
  traces.label_start = 0x2000028;
  Base base = base_of(control_in(ClusterState::kInProduction), traces);
  EXPECT_EQ(base.everything_up_to, Lsn{0x2000028});
  EXPECT_FALSE(base.reach);
}

TEST(Base, of_what_crashed_as_a_primary_is_not_known) {
  for (auto state : {ClusterState::kInProduction, ClusterState::kShuttingDown, ClusterState::kInCrashRecovery,
                     ClusterState::kStartingUp}) {
    Base base = base_of(control_in(state), wal_up_to(0x5000000));
    EXPECT_FALSE(base.reach);
    EXPECT_TRUE(base.was_primary);
  }
  EXPECT_FALSE(base_of(control_in(ClusterState::kInArchiveRecovery), wal_up_to(0x5000000)).reach);
}

constexpr Lsn kCheckpointEnd = 0x30000D8;

std::string why_not(const ControlFile& control, Lsn end_of_wal, Lsn parting) {
  return why_not_replayed(control, base_of(control, wal_up_to(end_of_wal)), kCheckpointEnd, parting);
}

TEST(Replay, of_a_standby_that_only_lags) {
  EXPECT_EQ(why_not(standby_in(ClusterState::kShutDownInRecovery), 0x5000000, kNoEnd), "");
  EXPECT_EQ(why_not(standby_in(ClusterState::kInArchiveRecovery), 0x5000000, kNoEnd), "");
  EXPECT_EQ(why_not(control_in(ClusterState::kShutDown), kCheckpointEnd, kNoEnd), "");
}

TEST(Replay, never_of_a_primary_that_crashed) {
  EXPECT_NE(why_not(control_in(ClusterState::kInProduction), 0x5000000, kNoEnd), "");
}

TEST(Replay, never_beyond_where_it_left_the_donors_history) {
  ControlFile standby = standby_in(ClusterState::kShutDownInRecovery);
  EXPECT_EQ(why_not(standby, 0, 0x4000000), "");
  EXPECT_NE(why_not(standby, 0, 0x3FFFFFF), "");
  EXPECT_NE(why_not(standby, 0, kCheckpointEnd - 1), "");
  EXPECT_NE(why_not(standby, 0, standby.checkpoint), "");
  // A crashed one may have replayed all that it received.
  EXPECT_NE(why_not(standby_in(ClusterState::kInArchiveRecovery), 0x5000000, 0x4000000), "");
}

}  // namespace
}  // namespace standby_clone
