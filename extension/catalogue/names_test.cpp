// names_test.cpp: each rule of what travels, by its trap.
#include "extension/catalogue/names.h"

#include <gtest/gtest.h>

namespace catalogue {
namespace {

constexpr std::string_view kVersion = "PG_15_202209061";

bool travels(std::string_view path) {
  return is_clean_path(path) &&
         !is_left_out(place_of(directory_of(path), kVersion), name_of(path), kVersion);
}

TEST(CleanPath, accepts_what_a_data_directory_holds) {
  for (auto path : {"PG_VERSION", "base/16384/2619_fsm", "pg_tblspc/16400/PG_15_202209061/5/1",
                    "odd name/with \"quotes\" and \xc3\xa4", "a..b/.hidden"})
    EXPECT_TRUE(is_clean_path(path)) << path;
}

TEST(CleanPath, refuses_ways_out_of_the_data_directory) {
  for (auto path : {"", "/etc/passwd", "..", "../x", "base/../../x", "base/..", "./base", "base//1",
                    "base/", "base/.", "a\nb", "a\x01"})
    EXPECT_FALSE(is_clean_path(path)) << path;
  EXPECT_FALSE(is_clean_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_clean_path(std::string(1024, 'a')));
  EXPECT_TRUE(is_clean_path(std::string(1023, 'a')));
}

TEST(LeftOut, content_of_the_running_servers_directories_trap_26_and_28) {
  for (auto path : {"pg_stat_tmp/global.stat", "pg_replslot/s1", "pg_dynshmem/mmap.1",
                    "pg_notify/0000", "pg_serial/0000", "pg_snapshots/1", "pg_subtrans/0000",
                    "pg_wal/000000010000000000000001", "pg_wal/archive_status/x",
                    "pg_wal/summaries/x"})
    EXPECT_FALSE(travels(path)) << path;
  for (auto path : {"pg_stat_tmp", "pg_replslot", "pg_wal", "pg_subtrans", "pg_logical/mappings",
                    "pg_logical/snapshots/0-1.snap", "pg_stat/pgstat.stat"})
    EXPECT_TRUE(travels(path)) << path;
}

TEST(LeftOut, files_of_the_donors_process_and_role_trap_27_and_85) {
  for (auto path : {"postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map",
                    "backup_manifest", "standby.signal", "recovery.signal",
                    "postgresql.auto.conf.tmp", "current_logfiles.tmp", "pg_standby_clone.journal",
                    ".DS_Store", "base/.DS_Store"})
    EXPECT_FALSE(travels(path)) << path;
  // The same names deeper down are somebody's own.
  EXPECT_TRUE(travels("somewhere/postmaster.pid"));
  EXPECT_TRUE(travels("postgresql.auto.conf"));
  EXPECT_TRUE(travels("backup_label.old"));
}

TEST(LeftOut, temporary_files_and_relations_trap_24_25_31) {
  for (auto path : {"base/pgsql_tmp/pgsql_tmp1.0", "base/pgsql_tmp", "base/5/pg_internal.init",
                    "global/pg_internal.init.123", "base/5/pg_filenode.map.tmp", "base/5/t3_16384",
                    "base/5/t3_16384_fsm", "base/5/t12_16384.1",
                    "pg_tblspc/16400/PG_15_202209061/5/t3_1"})
    EXPECT_FALSE(travels(path)) << path;
  for (auto path : {"base/5/16384", "base/5/16384_init", "base/5/table_of_mine", "base/5/t3",
                    "global/1262", "base/5/pg_filenode.map"})
    EXPECT_TRUE(travels(path)) << path;
}

TEST(LeftOut, other_clusters_in_a_tablespace_directory_trap_33) {
  EXPECT_TRUE(travels("pg_tblspc/16400/PG_15_202209061"));
  EXPECT_FALSE(travels("pg_tblspc/16400/PG_14_202107181"));
  EXPECT_FALSE(travels("pg_tblspc/16400/lost+found"));
}

TEST(LeftOut, what_a_file_system_shows_of_its_own) {
  for (auto path : {"lost+found", "base/lost+found", "pg_tblspc/16400/PG_15_202209061/lost+found",
                    ".snapshot", ".zfs", ".snapshots", "a/.snapshot"})
    EXPECT_FALSE(travels(path)) << path;
  EXPECT_TRUE(travels("snapshot"));
}

TEST(ServersOwn, is_what_no_server_can_do_without) {
  for (auto path : {"base", "global", "pg_xact", "pg_wal", "pg_replslot", "pg_wal/archive_status",
                    "pg_multixact/offsets", "PG_VERSION", "base/5", "base/5/1259", "base/5/1259_vm.1",
                    "base/5/PG_VERSION", "base/5/pg_filenode.map", "global/pg_control", "global/1262",
                    "pg_xact/000F", "pg_multixact/members/0000", "pg_twophase/000002E1", "pg_stat/pgstat.stat",
                    "pg_logical/replorigin_checkpoint", "pg_logical/mappings/map-5-4eb-0_0-2e1-2e2",
                    "pg_logical/snapshots/0-1.snap", "pg_tblspc", "pg_tblspc/16400",
                    "pg_tblspc/16400/PG_15_202209061", "pg_tblspc/16400/PG_15_202209061/5",
                    "pg_tblspc/16400/PG_15_202209061/5/16401"})
    EXPECT_TRUE(is_servers_own(path, kVersion)) << path;
}

TEST(ServersOwn, is_nothing_of_others) {
  for (auto path : {"postgresql.conf", "postgresql.conf.bak", "server.key", "1259", "base/mine", "base/5/mine",
                    "base/5/x/1259", "pg_xact/notes", "pg_xact/x/0000", "pg_twophase/x", "pg_logical/x",
                    "pg_stat/x", "pg_tblspc/x", "pg_tblspc/16400/PG_14_202107181/5/1",
                    "pg_tblspc/16400/other", "pg_wal/000000010000000000000001", "mine/base/5"})
    EXPECT_FALSE(is_servers_own(path, kVersion)) << path;
}

TEST(RelationName, takes_fork_and_segment_apart) {
  RelationName name;
  ASSERT_TRUE(parse_relation_name("16384", name));
  EXPECT_EQ(name.relation, "16384");
  EXPECT_EQ(name.fork, "");
  EXPECT_EQ(name.segment, 0u);
  ASSERT_TRUE(parse_relation_name("16384.12", name));
  EXPECT_EQ(name.segment, 12u);
  ASSERT_TRUE(parse_relation_name("16384_fsm", name));
  EXPECT_EQ(name.fork, "fsm");
  ASSERT_TRUE(parse_relation_name("16384_vm.3", name));
  EXPECT_EQ(name.segment, 3u);
  ASSERT_TRUE(parse_relation_name("16384_init", name));
  EXPECT_EQ(name.fork, "init");
}

TEST(RelationName, leaves_all_other_names_alone) {
  RelationName name;
  for (auto text : {"", "x", "PG_VERSION", "pg_filenode.map", "16384_", "16384_foo", "16384.",
                    "16384.0", "16384.x", "16384.9999999999", "_fsm", "016384", "t3_16384", "16384 "})
    EXPECT_FALSE(parse_relation_name(text, name)) << text;
}

TEST(Place, knows_where_relations_live) {
  EXPECT_EQ(place_of("", kVersion), Place::kTop);
  EXPECT_EQ(place_of("global", kVersion), Place::kGlobal);
  EXPECT_EQ(place_of("base/16384", kVersion), Place::kDatabase);
  EXPECT_EQ(place_of("base", kVersion), Place::kOther);
  EXPECT_EQ(place_of("base/pgsql_tmp", kVersion), Place::kOther);
  EXPECT_EQ(place_of("pg_tblspc", kVersion), Place::kOther);
  EXPECT_EQ(place_of("pg_tblspc/16400", kVersion), Place::kTablespaceRoot);
  EXPECT_EQ(place_of("pg_tblspc/16400/PG_15_202209061/5", kVersion), Place::kDatabase);
  EXPECT_EQ(place_of("pg_tblspc/16400/PG_14_202107181/5", kVersion), Place::kOther);
}

}  // namespace
}  // namespace catalogue
