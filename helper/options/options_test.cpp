// options_test.cpp: the command line a pg_basebackup user types, and what is refused.
#include "helper/options/options.h"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "pg_standby_clone");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, the_guides_pg_basebackup_command_with_another_name) {
  auto parsed = parse({"-h", "primary", "-U", "replicator", "-D", "/data", "-R", "-P"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->host, "primary");
  EXPECT_EQ(parsed.options->user, "replicator");
  EXPECT_EQ(parsed.options->data_directory, "/data");
  EXPECT_TRUE(parsed.options->progress);
  EXPECT_TRUE(parsed.options->fast_checkpoint);
  EXPECT_FALSE(parsed.options->slot.empty());
}

TEST(Options, the_word_clone_may_be_said) {
  auto parsed = parse({"clone", "-D", "/data", "--name", "Stand-By.1", "-j", "7", "-Z", "zstd:3"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->name, "Stand-By.1");
  EXPECT_EQ(parsed.options->slot, "stand_by_1");
  EXPECT_EQ(parsed.options->jobs, 7);
  EXPECT_EQ(parsed.options->compression, protocol::Compression::kZstd);
  EXPECT_EQ(parsed.options->compression_level, 3);
}

TEST(Options, a_given_slot_is_taken_as_it_is) {
  auto parsed = parse({"-D", "/data", "-S", "mine", "--name", "s1"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->slot, "mine");
  EXPECT_TRUE(parsed.options->slot_given);
  parsed = parse({"-D", "/data", "--no-slot"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->slot, "");
}

TEST(Options, a_way_of_delta_stands_behind_the_equal_sign) {
  auto parsed = parse({"--delta", "-D", "/data"});
  ASSERT_TRUE(parsed.options);
  EXPECT_TRUE(parsed.options->delta);
  EXPECT_EQ(parsed.options->way, Delta::kAuto);
  parsed = parse({"-D", "/data", "--delta=replay"});
  ASSERT_TRUE(parsed.options);
  EXPECT_TRUE(parsed.options->delta);
  EXPECT_EQ(parsed.options->way, Delta::kReplay);
  parsed = parse({"-D", "/data"});
  ASSERT_TRUE(parsed.options);
  EXPECT_FALSE(parsed.options->delta);
}

TEST(Options, what_we_do_not_is_refused_with_exit_code_2) {
  std::vector<std::vector<const char*>> refused = {
      {},
      {"-D", "/d", "-F", "t"},
      {"-D", "/d", "-X", "fetch"},
      {"-D", "/d", "-t", "server:/x"},
      {"-D", "/d", "--nonsense"},
      {"-D", "/d", "--delta=somehow"},
      {"-D", "/d", "stray"},
      {"-D", "/d", "-j", "0"},
      {"-D", "/d", "-j", "65"},
      {"-D", "/d", "-Z", "zstd:99"},
      {"-D", "/d", "-Z", "gzip"},
      {"-D", "/d", "-Z", "5"},
      {"-D", "/d", "-X", "f"},
      {"-D", "/d", "-X", "x"},
      {"-D", "/d", "-C"},
      {"-D", "/d", "-z"},
      {"-D", "/d", "-i", "/x/backup_manifest"},
      {"-D", "/d", "--sync-method=writethrough"},
      {"-D", "/d", "-r", "31"},
      {"-D", "/d", "-c", "slow"},
      {"-D", "/d", "-T", "/only"},
      {"-D", "/d", "-T", "relative=/x"},
      {"-D", "/d", "--waldir", "relative"},
      {"-D", "/d", "--no-slot", "-S", "x"},
      {"-D", "/d", "--manifest-checksums", "MD5"},
      {"-D", "/d", "--name", "a123456789012345678901234567890123456789012345678901234567890123"}};
  for (auto& arguments : refused) {
    testing::internal::CaptureStderr();
    auto parsed = parse(arguments);
    std::string text = testing::internal::GetCapturedStderr();
    EXPECT_FALSE(parsed.options) << testing::PrintToString(arguments);
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_NE(text.find("hint: "), std::string::npos) << text;
    bool is_nonsense = text.find("nonsense") != std::string::npos || text.find("stray") != std::string::npos;
    EXPECT_EQ(text.find("unknown option") != std::string::npos || text.find("unknown argument") != std::string::npos,
              is_nonsense) << text;
  }
}

TEST(Options, as_pg_basebackup_takes_them) {
  auto parsed = parse({"-D", "/d", "-Xs", "-C", "-S", "mine", "-Z", "server-zstd:level=3", "-n",
                       "--no-clean", "--no-estimate-size", "-s", "10", "-Fp", "--sync-method=fsync", "--manifest-force-encode"});
  ASSERT_TRUE(parsed.options);
  EXPECT_TRUE(parsed.options->stream_wal);
  EXPECT_EQ(parsed.options->slot, "mine");
  EXPECT_FALSE(parsed.options->slot_given);
  EXPECT_TRUE(parsed.options->create_slot);
  EXPECT_TRUE(parsed.options->sync_by_file);
  EXPECT_TRUE(parsed.options->encode_manifest);
  EXPECT_EQ(parsed.options->compression, protocol::Compression::kZstd);
  EXPECT_EQ(parsed.options->compression_level, 3);
  parsed = parse({"-D", "/d", "-X", "n", "-Z", "client-zstd", "--sync-method", "syncfs"});
  ASSERT_TRUE(parsed.options);
  EXPECT_FALSE(parsed.options->stream_wal);
  EXPECT_FALSE(parsed.options->sync_by_file);
}

TEST(Options, a_dry_run_is_a_check) {
  auto parsed = parse({"-D", "/d", "--dry-run"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->command, Command::kCheck);
  EXPECT_FALSE(parse({"agent", "-D", "/d", "--name", "s1", "--dry-run"}).options);
}

TEST(Options, rates_as_pg_basebackup_reads_them) {
  EXPECT_EQ(parse_rate("32"), 32u * 1024);
  EXPECT_EQ(parse_rate("100k"), 100u * 1024);
  EXPECT_EQ(parse_rate("1.5M"), 1536u * 1024);
  EXPECT_EQ(parse_rate("1024M"), 1024u * 1024 * 1024);
  for (auto text : {"", "x", "31", "1025M", "10G", "10 M", "nan", "-5"})
    EXPECT_EQ(parse_rate(text), std::nullopt) << text;
}

TEST(Options, patience_with_a_silent_connection) {
  using std::chrono::milliseconds;
  auto given = [](const char* time) {
    const char* argv[] = {"pg_standby_clone", "-D", "/d", "--receive-timeout", time};
    return parse_options(5, argv);
  };
  EXPECT_EQ(given("90").options->receive_timeout, milliseconds(90000));
  EXPECT_EQ(given("5000ms").options->receive_timeout, milliseconds(5000));
  EXPECT_EQ(given("0").options->receive_timeout, milliseconds(0));
  for (auto time : {"4", "1ms", "soon", "-1"}) EXPECT_EQ(given(time).exit_code, 2) << time;
}

TEST(Options, settings_are_names_and_values_of_one_line) {
  using Setting = std::pair<std::string, std::string>;
  EXPECT_EQ(parse_setting("Port=5433"), Setting("port", "5433"));
  EXPECT_EQ(parse_setting("restore_command=cp a=b %p"), Setting("restore_command", "cp a=b %p"));
  EXPECT_EQ(parse_setting("cluster_name="), Setting("cluster_name", ""));
  EXPECT_EQ(parse_setting("pg_stat_statements.max=10"), Setting("pg_stat_statements.max", "10"));
  for (auto text : {"port", "=1", "a b=1", "1a=1", "a.b.c=1", ".a=1", "a.=1", "a-b=1", "include=/x", "Include_If_Exists=/x",
                    "include_dir=/x", "port=1\nx=2", "port=1\r", "primary_conninfo=x", "primary_slot_name=x",
                    "Data_Directory=/x", "hba_file=/x", "config_file=/x", "recovery_target_time=x", "recovery_target=immediate"})
    EXPECT_THROW(parse_setting(text), Failure) << text;
  EXPECT_THROW(parse_setting(std::string("port=1\0", 7)), Failure);
}

TEST(Options, failover_slots_need_a_slot_and_mean_settings) {
  auto parsed = parse({"-D", "/d", "--failover-slots", "--set", "hot_standby_feedback=off"});
  ASSERT_TRUE(parsed.options);
  auto settings = settings_of(*parsed.options);
  ASSERT_EQ(settings.size(), 3u);
  EXPECT_EQ(settings[1].first, "sync_replication_slots");
  EXPECT_EQ(settings.back().second, "off");
  EXPECT_EQ(parse({"-D", "/d", "--failover-slots", "--no-slot"}).exit_code, 2);
}

TEST(Options, mappings_with_escaped_equal_signs) {
  EXPECT_EQ(parse_mapping("/a=/b"), (std::pair<std::string, std::string>{"/a", "/b"}));
  EXPECT_EQ(parse_mapping("/a\\=1=/b"), (std::pair<std::string, std::string>{"/a=1", "/b"}));
  for (auto text : {"/a", "=/b", "/a=", "/a=/b=/c", "a=/b", "/a=b"})
    EXPECT_EQ(parse_mapping(text), std::nullopt) << text;
}

// --- the documents ---

std::set<std::string> options_in(const std::string& text, const char* pattern) {
  std::set<std::string> names;
  const std::regex expression(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

std::string document(const std::string& name) {
  std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.rfind("helper/")) + "docs/" + name);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(Documents, name_the_options_that_help_names) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(parse({"--help=all"}).exit_code, 0);
  auto known = options_in(testing::internal::GetCapturedStdout(),
                          R"(\n +(?:-\S,)? *--([a-z-]+))");
  EXPECT_GT(known.size(), 25u);
  EXPECT_EQ(options_in(document("options.md"), R"(\n\| (?:`-\S`, )?`--([a-z-]+))"), known);
  std::string manual = std::regex_replace(document("pg_standby_clone.1"), std::regex(R"(\\-)"), "-");
  EXPECT_EQ(options_in(manual, R"(\n\.BR (?:-\S ", " )?--([a-z-]+))"), known);
}

TEST(Help, fits_a_screen_and_names_the_rest) {
  for (const char* command : {"clone", "agent"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(parse({command, "--help"}).exit_code, 0);
    std::string text = testing::internal::GetCapturedStdout();
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 45) << text;
    EXPECT_NE(text.find("--pgdata"), std::string::npos);
    EXPECT_NE(text.find("--help=all"), std::string::npos);
    EXPECT_EQ(text.find(" \n"), std::string::npos);
    EXPECT_EQ(text.find("--manifest-checksums"), std::string::npos);
    testing::internal::CaptureStdout();
    EXPECT_EQ(parse({command, "--help=all"}).exit_code, 0);
    EXPECT_NE(testing::internal::GetCapturedStdout().find("--manifest-checksums"), std::string::npos);
  }
  testing::internal::CaptureStderr();
  EXPECT_EQ(parse({"--help=everything"}).exit_code, 2);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("--help=all"), std::string::npos);
}

}  // namespace
}  // namespace standby_clone
