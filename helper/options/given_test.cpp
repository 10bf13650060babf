// given_test.cpp: the command line goes before the environment, that before the file; what is refused says where it stands.
#include "helper/options/given.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/options/options.h"

namespace standby_clone {
namespace {

class GivenTest : public testing::Test {
 protected:
  ~GivenTest() override {
    unlink(path_.c_str());
    for (const auto& name : set_) unsetenv(name.c_str());
  }

  void set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }

  void write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    chmod(path_.c_str(), 0600);
  }

  Parsed parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "pg_standby_clone");
    std::vector<const char*> pointers;
    for (const auto& argument : arguments) pointers.push_back(argument.c_str());
    testing::internal::CaptureStderr();
    Parsed parsed = parse_options(static_cast<int>(pointers.size()), pointers.data());
    said_ = testing::internal::GetCapturedStderr();
    return parsed;
  }

  // Exit code 2, and says `what`.
  void expect_refused(const std::vector<std::string>& arguments, const std::string& what) {
    Parsed parsed = parse(arguments);
    EXPECT_FALSE(parsed.options) << what;
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_NE(said_.find(what), std::string::npos) << said_;
    EXPECT_NE(said_.find("hint: "), std::string::npos) << said_;
  }

  std::string path_ = testing::TempDir() + "pg_standby_clone_given_test." + std::to_string(getpid());
  std::string said_;
  std::vector<std::string> set_;
};

TEST_F(GivenTest, the_command_line_goes_before_the_environment_and_that_before_the_file) {
  write("# of this host\n\njobs = 3\nmax-rate= 5M\n  label ='it''s = ours'\nno-sync\nno-check-space = false\r\n"
        "tablespace-mapping = /a=/b\ntablespace-mapping = /c=/d\ndelta=compare\npgdata = /of/file\n");
  set("PG_STANDBY_CLONE_OPTIONS_FILE", path_);
  set("PG_STANDBY_CLONE_JOBS", "5");
  set("PG_STANDBY_CLONE_MAX_RATE", "6M");
  set("PG_STANDBY_CLONE_NAME", "");
  auto parsed = parse({"-D", "/of/command", "-j", "7"});
  ASSERT_TRUE(parsed.options) << said_;
  EXPECT_EQ(parsed.options->data_directory, "/of/command");
  EXPECT_EQ(parsed.options->jobs, 7);
  EXPECT_EQ(parsed.options->max_rate, 6u * 1024 * 1024);
  EXPECT_EQ(parsed.options->label, "it's = ours");
  EXPECT_FALSE(parsed.options->sync);
  EXPECT_TRUE(parsed.options->check_space);
  EXPECT_FALSE(parsed.options->is_named);
  EXPECT_EQ(parsed.options->tablespace_mapping.size(), 2u);
  EXPECT_EQ(parsed.options->way, Delta::kCompare);
  EXPECT_EQ(parse({"--options-file", path_}).options->data_directory, "/of/file");
  // All of one option come from one place.
  EXPECT_EQ(parse({"-T", "/x=/y"}).options->tablespace_mapping.size(), 1u);
}

TEST_F(GivenTest, what_overwrites_stops_or_runs_something_is_not_of_the_environment) {
  for (const char* name : {"DELTA", "ASSUME_STOPPED", "START_COMMAND", "STOP_COMMAND", "ALLOW_OVERWRITE", "MANAGE_SERVER"}) {
    set(std::string("PG_STANDBY_CLONE_") + name, "true");
    expect_refused({"-D", "/d"}, std::string("PG_STANDBY_CLONE_") + name);
    unsetenv(set_.back().c_str());
  }
  set("PG_STANDBY_CLONE_JBOS", "3");
  expect_refused({"-D", "/d"}, "PG_STANDBY_CLONE_JBOS");
}

TEST_F(GivenTest, a_line_that_is_no_option_is_named) {
  const std::pair<const char*, const char*> lines[] = {
      {"jobs = 2\njbos = 3\n", "line 2"},     {"--jobs = 3\n", "line 1"},      {"label = 'open\n", "line 1"},
      {"label = 'a' b\n", "line 1"},          {"options-file = /x\n", "line 1"}, {"help\n", "line 1"},
      {"\n\nversion = true\n", "line 3"},     {"timeout = soon\n", "line 1"},  {"jobs = 1\njobs = 2\n", "jobs"},
      {"allow-overwrite\n", "line 1"},        {"= 3\n", "line 1"}};
  for (const auto& [text, what] : lines) {
    write(text);
    expect_refused({"-D", "/d", "--options-file", path_}, what);
    EXPECT_NE(said_.find(path_), std::string::npos) << said_;
  }
  write("allow-overwrite\n");
  EXPECT_TRUE(parse({"agent", "-D", "/d", "--name", "s1", "--options-file", path_}).options) << said_;
}

TEST_F(GivenTest, a_file_that_others_could_have_written_is_refused) {
  expect_refused({"-D", "/d", "--options-file", path_}, "cannot be opened");
  expect_refused({"-D", "/d", "--options-file", testing::TempDir()}, "is no file");
  for (mode_t mode : {0620, 0602, 0666}) {
    write("jobs = 2\n");
    chmod(path_.c_str(), mode);
    expect_refused({"-D", "/d", "--options-file", path_}, "another user");
  }
  write(std::string(70000, '#'));
  expect_refused({"-D", "/d", "--options-file", path_}, "longer than 64 kB");
}

}  // namespace
}  // namespace standby_clone
