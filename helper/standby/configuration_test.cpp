// configuration_test.cpp: configuration files as the server reads them; what of them a standby must not keep; what of
// a data directory is its host's own.
#include "helper/standby/configuration.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "helper/disk/scratch_directory.h"
#include "helper/standby/settings_file.h"

namespace standby_clone {
namespace {

void put(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

using Pair = std::pair<std::string, std::string>;

TEST(Assignment, in_every_way_the_server_takes_one) {
  EXPECT_EQ(assignment_in("work_mem = 64MB # much"), Pair("work_mem", "64MB"));
  EXPECT_EQ(assignment_in("  Work_Mem 64MB"), Pair("work_mem", "64MB"));
  EXPECT_EQ(assignment_in("a='it''s \\'so\\' # no comment'"), Pair("a", "it's 'so' # no comment"));
  EXPECT_EQ(assignment_in("a = 'b\\\\c\\n\\101'"), Pair("a", "b\\c\nA"));
  EXPECT_EQ(assignment_in("recovery_target_time=''"), Pair("recovery_target_time", ""));
  EXPECT_EQ(assignment_in("my.setting = on"), Pair("my.setting", "on"));
  for (const char* nothing : {"", "   ", "# port = 1", "port", "port =", "= 3"})
    EXPECT_EQ(assignment_in(nothing).first, "") << nothing;
}

TEST(Configuration, follows_what_is_included_and_the_last_line_counts) {
  ScratchDirectory home;
  put(home.path() + "/postgresql.conf",
      "port = 1\ninclude 'more/one.conf'\ninclude_if_exists 'none.conf'\ninclude 'gone.conf'\n"
      "include_dir 'conf.d'\nport = 5\n");
  put(home.path() + "/more/one.conf", "port = 2\ninclude 'two.conf'\n");
  put(home.path() + "/more/two.conf", "max_connections = 7\n");
  put(home.path() + "/conf.d/b.conf", "work_mem = 2\n");
  put(home.path() + "/conf.d/a.conf", "work_mem = 1\n");
  put(home.path() + "/conf.d/.hidden.conf", "work_mem = 9\n");
  put(home.path() + "/conf.d/other.txt", "work_mem = 9\n");
  Configuration configuration;
  configuration.read(home.path() + "/postgresql.conf");
  EXPECT_EQ(configuration.value_of("port"), "5");
  EXPECT_EQ(configuration.value_of("max_connections"), "7");
  EXPECT_EQ(configuration.value_of("work_mem"), "2");
  EXPECT_EQ(configuration.find("shared_buffers"), nullptr);
  EXPECT_EQ(configuration.find("max_connections")->file, home.path() + "/more/two.conf");
  EXPECT_EQ(configuration.unreadable, std::vector<std::string>{home.path() + "/gone.conf"});
}

TEST(Configuration, ends_where_files_include_each_other) {
  ScratchDirectory home;
  put(home.path() + "/postgresql.conf", "include 'postgresql.conf'\nport = 1\n");
  Configuration configuration;
  configuration.read(home.path() + "/postgresql.conf");
  EXPECT_EQ(configuration.value_of("port"), "1");
}

Configuration of(const std::vector<Setting>& settings) {
  Configuration configuration;
  configuration.settings = settings;
  return configuration;
}

std::string lines_for(const Configuration& configuration, const Moved& moved = {}, bool has_slot = true) {
  std::string lines;
  for (const auto& change : overrides_for(configuration, moved, has_slot))
    lines += change.name + "=" + change.value + (change.is_dropped ? " (dropped)\n" : "\n");
  return lines;
}

TEST(Overrides, what_would_not_be_a_standby) {
  EXPECT_EQ(lines_for(of({{"recovery_target_time", "2001-01-01", "postgresql.conf"},
                          {"recovery_target_timeline", "current", "more.conf"},
                          {"recovery_end_command", "/bin/x", "postgresql.conf"},
                          {"promote_trigger_file", "/tmp/go", "postgresql.conf"},
                          {"recovery_min_apply_delay", "1h", "postgresql.conf"},
                          {"work_mem", "1", "postgresql.conf"}})),
            "recovery_target_time=\nrecovery_target_timeline=latest\nrecovery_end_command=\npromote_trigger_file=\n");
}

TEST(Overrides, nothing_for_what_is_empty_or_right_already) {
  EXPECT_EQ(lines_for(of({{"recovery_target_time", "2001-01-01", "postgresql.conf"},
                          {"recovery_target_time", "", "postgresql.conf"},
                          {"recovery_target_timeline", "latest", "postgresql.conf"}})),
            "");
}

TEST(Overrides, of_a_standbys_copy_hold_again) {
  // Its postgresql.auto.conf overrules already; those lines are taken out, and must come back.
  EXPECT_EQ(lines_for(of({{"recovery_target_time", "2001-01-01", "postgresql.conf"},
                          {"recovery_target_time", "", "postgresql.auto.conf"}})),
            "recovery_target_time=\n");
  EXPECT_EQ(lines_for(of({{"recovery_end_command", "/bin/x", "postgresql.auto.conf"}})),
            "recovery_end_command= (dropped)\n");
}

TEST(Overrides, a_slot_of_the_donors_is_nobodys_here) {
  auto donors = of({{"primary_slot_name", "other", "postgresql.conf"}});
  EXPECT_EQ(lines_for(donors, {}, false), "primary_slot_name=\n");
  EXPECT_EQ(lines_for(donors, {}, true), "");
}

TEST(Overrides, paths_of_the_donors_directory_move) {
  auto donors = of({{"hba_file", "/old/pg_hba.conf", "postgresql.conf"},
                    {"ident_file", "/older/pg_ident.conf", "postgresql.conf"},
                    {"unix_socket_directories", "/tmp, /old/sockets", "postgresql.conf"},
                    {"ssl_cert_file", "server.crt", "postgresql.conf"}});
  EXPECT_EQ(lines_for(donors, {"/old", "/new"}),
            "hba_file=/new/pg_hba.conf\nunix_socket_directories=/tmp,/new/sockets\n");
  EXPECT_EQ(lines_for(donors, {"/old", "/old"}), "");
  EXPECT_EQ(lines_for(donors, {"", "/new"}), "");
}

TEST(Overrides, are_written_and_named) {
  auto overrides = overrides_for(of({{"recovery_target_xid", "7", "/x/more.conf"},
                                     {"recovery_end_command", "/bin/x", "postgresql.auto.conf"}}),
                                 {}, true);
  EXPECT_EQ(names_of(overrides), "recovery_target_xid (more.conf), recovery_end_command (postgresql.auto.conf)");
  EXPECT_EQ(standby_settings("a = 1\nrecovery_end_command = '/bin/x'\n", "c", "s", overrides),
            "a = 1\nrecovery_target_xid = ''\nprimary_conninfo = 'c'\nprimary_slot_name = 's'\n");
}

TEST(Overrides, what_was_given_to_the_clone_is_meant) {
  auto overrides = overrides_for(of({{"recovery_end_command", "/bin/x", "/x/postgresql.conf"},
                                     {"recovery_end_command", "/bin/y", kGiven},
                                     {"log_directory", "/old/log", kGiven}}),
                                 {"/old", "/new"}, true);
  EXPECT_EQ(names_of(overrides), "");
}

TEST(OwnConfiguration, is_what_the_host_reads) {
  ScratchDirectory home;
  const std::string dir = home.path();
  put(dir + "/postgresql.conf",
      "include 'own/main.conf'\ninclude_dir 'conf.d'\nssl_ca_file = 'tls/ca.crt'\nhba_file = 'access.conf'\n"
      "include_if_exists 'base/1/1259'\n");
  put(dir + "/own/main.conf", "port = 1\n");
  put(dir + "/conf.d/a.conf", "work_mem = 1\n");
  put(dir + "/tls/ca.crt", "x");
  put(dir + "/access.conf", "host @databases.txt all samehost trust\ninclude more.conf # 16\n");
  put(dir + "/more.conf", "local all \"postgres\",@users.txt trust\n");
  put(dir + "/pg_hosts.conf", "db.example \"sni.crt\" sni.key other-ca.crt passphrase.sh\n/default/ x y\ninclude hosts.more\n");
  put(dir + "/hosts.more", "other.example more.crt more.key\n");
  for (const char* name : {"sni.crt", "sni.key", "other-ca.crt", "passphrase.sh", "more.crt", "more.key"})
    put(dir + "/" + name, "x\n");
  for (const char* name : {"pg_hba.conf", "databases.txt", "users.txt", "server.key", "other.txt", "base/1/1259",
                           "postgresql.auto.conf"})
    put(dir + "/" + name, "x\n");
  OwnConfiguration own(dir, "");
  for (const char* name : {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "own/main.conf", "conf.d/a.conf",
                           "conf.d/the-donors.conf", "tls/ca.crt", "access.conf", "more.conf", "databases.txt",
                           "users.txt", "server.key", "pg_hosts.conf", "hosts.more", "sni.crt", "sni.key",
                           "other-ca.crt", "more.crt", "more.key"})
    EXPECT_TRUE(own.contains(name)) << name;
  for (const char* name : {"pg_ident.conf", "other.txt", "passphrase.sh", "base/1/1259", "PG_VERSION", "conf.d/sub/a.conf", "server.crt"})
    EXPECT_FALSE(own.contains(name)) << name;
}

}  // namespace
}  // namespace standby_clone
