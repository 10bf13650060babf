#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper/agent/request.h"
#include "helper/agent/run.h"
#include "helper/agent/service.h"
#include "helper/base/failure.h"
#include "helper/claim/neighbour.h"
#include "helper/disk/journal.h"
#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

Options agent_options() {
  Options options;
  options.command = Command::kAgent;
  options.data_directory = "/data";
  options.connection = "host=primary";
  options.name = "s1";
  options.slot = "s1";
  options.start_command = "own command";
  options.jobs = 3;
  options.max_rate = 1 << 20;
  return options;
}

Kind refusal_of(const std::string& json) {
  try {
    options_of(agent_options(), parse_request(1, json));
  } catch (const Failure& failure) {
    return failure.kind;
  }
  return Kind::kInternal;
}

TEST(AgentRequest, changes_what_it_may_and_nothing_else) {
  Options options = options_of(
      agent_options(), parse_request(7, R"({"jobs": 8, "compress": "zstd:3", "max_rate": "2M",
                                            "checkpoint": "spread", "start": true, "expires": "1 h"})"));
  EXPECT_EQ(options.request_id, 7);
  EXPECT_EQ(options.jobs, 8);
  EXPECT_EQ(options.compression, protocol::Compression::kZstd);
  EXPECT_EQ(options.compression_level, 3);
  EXPECT_EQ(options.max_rate, 2u << 20);
  EXPECT_FALSE(options.fast_checkpoint);
  EXPECT_TRUE(options.start);
  EXPECT_EQ(options.data_directory, "/data");
  EXPECT_EQ(options.connection, "host=primary");
  EXPECT_EQ(options.start_command, "own command");
  EXPECT_FALSE(options.allow_overwrite);
  EXPECT_FALSE(options.delta);
  EXPECT_TRUE(options_of(agent_options(), parse_request(7, R"({"delta": true})")).delta);
  Options compared = options_of(agent_options(), parse_request(7, R"({"delta": "compare"})"));
  EXPECT_TRUE(compared.delta);
  EXPECT_EQ(compared.way, Delta::kCompare);
  EXPECT_FALSE(options.gentle);
  EXPECT_TRUE(options_of(agent_options(), parse_request(7, R"({"gentle": true})")).gentle);
}

TEST(AgentRequest, that_says_nothing_leaves_the_agents_own_options) {
  Options own = agent_options();
  own.start = true;
  Options options = options_of(own, parse_request(7, "{}"));
  EXPECT_EQ(options.jobs, 3);
  EXPECT_EQ(options.max_rate, 1u << 20);
  EXPECT_TRUE(options.start);
  EXPECT_FALSE(options_of(own, parse_request(7, R"({"start": false})")).start);
  EXPECT_EQ(options_of(own, parse_request(7, R"({"jobs": "auto"})")).jobs, 0);
}

// Whoever may ask must not gain what the agent's host has not given.
TEST(AgentRequest, can_name_no_path_command_or_connection) {
  for (const char* name :
       {"pgdata", "waldir", "tablespace_mapping", "start_command", "stop_command", "config_file",
        "bindir", "dbname", "host", "name", "slot", "allow_overwrite", "manage_server", "label"})
    EXPECT_EQ(refusal_of(std::string("{\"") + name + "\": \"x\"}"), Kind::kUsage) << name;
}

TEST(AgentRequest, with_values_that_are_none_is_refused) {
  for (const char* json :
       {"", "[]", "7", "{\"jobs\": 0}", "{\"jobs\": 65}", "{\"jobs\": 1.5}", "{\"jobs\": \"many\"}",
        "{\"jobs\": true}", "{\"compress\": \"lz9\"}", "{\"compress\": \"zstd:99\"}",
        "{\"max_rate\": \"1\"}", "{\"max_rate\": \"fast\"}", "{\"checkpoint\": \"never\"}",
        "{\"delta\": \"yes\"}", "{\"start\": 1}", "{\"gentle\": 1}", "{\"jobs\": null}"})
    EXPECT_EQ(refusal_of(json), Kind::kUsage) << json;
}

class AgentDirectory : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& content = "") {
    auto file = std::filesystem::path(path()) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  void put_cluster(std::uint64_t identifier) {
    put("PG_VERSION", "15\n");
    std::string control(8192, '\0');
    std::memcpy(control.data(), &identifier, sizeof(identifier));
    put("global/pg_control", control);
  }
  std::string path() const { return scratch_.path() + "/data"; }

  ScratchDirectory scratch_;
};

class AgentMay : public AgentDirectory {
 protected:
  std::string refusal(const std::string& json, bool allow_overwrite, bool manage_server) {
    Options options = agent_options();
    options.data_directory = path();
    options.allow_overwrite = allow_overwrite;
    options.manage_server = manage_server;
    try {
      check_allowed(options, parse_request(1, json));
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, Kind::kTargetRefused);
      return failure.message + " " + failure.hint;
    }
    return "";
  }
};

TEST_F(AgentMay, an_empty_directory_and_an_unfinished_clone) {
  EXPECT_EQ(refusal("{}", false, false), "");
  put(kJournalName);
  EXPECT_EQ(refusal("{}", false, false), "");
}

TEST_F(AgentMay, a_used_directory_by_both_sides_only) {
  put_cluster(42);
  put("standby.signal");
  EXPECT_NE(refusal("{}", true, true).find("is not empty (stopped standby)"), std::string::npos);
  EXPECT_NE(refusal(R"({"delta": true})", false, false).find("--allow-overwrite"), std::string::npos);
  EXPECT_EQ(refusal(R"({"delta": true})", true, false), "");
}

TEST_F(AgentMay, a_running_server_with_leave_to_stop_it_only) {
  put_cluster(42);
  Neighbour server(path());
  put("postmaster.pid", std::to_string(server.pid()) + "\n/data\n1\n5432\n/tmp\n\n1 2\nready\n");
  EXPECT_NE(refusal(R"({"delta": true})", true, false).find("--manage-server"), std::string::npos);
  EXPECT_EQ(refusal(R"({"delta": true})", true, true), "");
}

TEST(AgentService, hears_one_datagram) {
  ScratchDirectory scratch;
  std::string path = scratch.path() + "/notify";
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  notify_service("READY=1\nSTATUS=waiting");
  unsetenv("NOTIFY_SOCKET");
  notify_service("nobody listens");
  char heard[64] = "";
  EXPECT_EQ(recv(socket.get(), heard, sizeof(heard), 0), 22);
  EXPECT_STREQ(heard, "READY=1\nSTATUS=waiting");
  EXPECT_LT(recv(socket.get(), heard, sizeof(heard), 0), 0);
}

}  // namespace
}  // namespace standby_clone
