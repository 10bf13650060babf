// conninfo_test.cpp: what the standby's server is told of the way to its donor.
#include "helper/standby/conninfo.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

const Address kA{"a", "", "1", ""}, kB{"b", "", "2", ""};

std::string made(const std::vector<ConninfoOption>& options, const std::vector<Address>& hosts = {kA},
                 const Address& donor = kA, StandbyWay way = {}) {
  way.application_name = "s";
  return standby_conninfo(options, hosts, donor, way);
}

TEST(StandbyConninfo, says_what_the_user_said_and_no_more) {
  EXPECT_EQ(made({{"user", "rep", false, false},
                  {"sslmode", "prefer", true, false},
                  {"connect_timeout", "7", false, false},
                  {"keepalives_idle", "10", true, false},
                  {"keepalives_count", "9", false, false},
                  {"replication", "true", false, false},
                  {"dbname", "app", false, false}}),
            "application_name='s' host='a' port='1' user='rep' connect_timeout='7' keepalives_count='9'");
  EXPECT_EQ(made({{"dbname", "app", false, false}}, {kA}, kA, {.application_name = "", .with_database = true}),
            "application_name='s' host='a' port='1' dbname='app'");
}

TEST(StandbyConninfo, no_secret_unless_asked) {
  std::vector<ConninfoOption> options{{"password", "p", false, true}, {"sslpassword", "q", false, true}};
  EXPECT_EQ(made(options), "application_name='s' host='a' port='1'");
  StandbyWay asked{.application_name = "", .with_secrets = true};
  EXPECT_EQ(made(options, {kA}, kA, asked), "application_name='s' host='a' port='1' password='p' sslpassword='q'");
  Address typed = kA;
  typed.password = "t";
  EXPECT_EQ(made({}, {kA}, typed, asked), "application_name='s' host='a' port='1' password='t'");
}

TEST(StandbyConninfo, a_service_and_a_balance_are_for_this_host) {
  EXPECT_EQ(made({{"service", "x", false, false},
                  {"servicefile", "/x", false, false},
                  {"load_balance_hosts", "random", false, false}}),
            "application_name='s' host='a' port='1'");
}

TEST(StandbyConninfo, asks_the_server_with_its_slot_first_and_follows_a_failover) {
  EXPECT_EQ(made({}, {kA, kB}, kB), "application_name='s' host='b,a' port='2,1' target_session_attrs='primary'");
  Address local{"x", "10.0.0.2", "1", ""}, other{"x", "10.0.0.1", "1", ""};
  EXPECT_EQ(made({}, {other, local}, local),
            "application_name='s' host='x,x' hostaddr='10.0.0.2,10.0.0.1' port='1,1' target_session_attrs='primary'");
  EXPECT_EQ(made({{"target_session_attrs", "read-write", false, false}}, {kA, kB}, kA),
            "application_name='s' host='a,b' port='1,2' target_session_attrs='read-write'");
  EXPECT_EQ(made({{"target_session_attrs", "prefer-standby", false, false}}), "application_name='s' host='a' port='1'");
}

TEST(StandbyConninfo, of_a_standby_asks_that_one_whatever_it_becomes) {
  StandbyWay cascade{.application_name = "", .to_standby = true};
  EXPECT_EQ(made({{"target_session_attrs", "standby", false, false}}, {kA, kB}, kB, cascade),
            "application_name='s' host='b,a' port='2,1'");
}

TEST(StandbyConninfo, files_are_named_from_the_root_on) {
  ScratchDirectory here;
  put_file(here / "ca.crt", "x");
  auto before = std::filesystem::current_path();
  std::filesystem::current_path(here.path());
  std::string line = made({{"sslrootcert", "ca.crt", false, false},
                           {"sslkey", "engine:key", false, false},
                           {"passfile", "none", false, false}});
  std::filesystem::current_path(before);
  EXPECT_EQ(line, "application_name='s' host='a' port='1' sslrootcert='" + here.path() + "/ca.crt' sslkey='engine:key'");
}

}  // namespace
}  // namespace standby_clone
