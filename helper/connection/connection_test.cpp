// connection_test.cpp: what is made of the server's messages, without a server.
#include "helper/connection/connection.h"
#include "helper/connection/login.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

namespace standby_clone {
namespace {

TEST(HbaLines, ready_to_paste_for_a_host) {
  auto lines = hba_lines(
      "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  no pg_hba.conf entry for host "
      "\"10.0.0.7\", user \"replicator\", database \"postgres\", no encryption",
      "postgres");
  EXPECT_EQ(lines,
            "  host  \"postgres\"  \"replicator\"  10.0.0.7/32  scram-sha-256\n"
            "  host  replication  \"replicator\"  10.0.0.7/32  scram-sha-256\n");
}

TEST(HbaLines, for_a_replication_connection_over_ipv6) {
  auto lines = hba_lines(
      "FATAL:  no pg_hba.conf entry for replication connection from host \"fe80::1\", user \"r\", "
      "SSL encryption",
      "db");
  EXPECT_NE(lines.find("host  replication  \"r\"  fe80::1/128"), std::string::npos);
  EXPECT_NE(lines.find("host  \"db\"  \"r\""), std::string::npos);
}

TEST(HbaLines, for_a_socket) {
  auto lines = hba_lines("FATAL:  no pg_hba.conf entry for host \"[local]\", user \"r\", database "
                         "\"postgres\", no encryption", "postgres");
  EXPECT_NE(lines.find("local  replication  \"r\"  scram-sha-256"), std::string::npos);
}

TEST(HbaLines, nothing_for_other_messages) {
  EXPECT_EQ(hba_lines("FATAL:  password authentication failed for user \"r\"", "postgres"), "");
}

TEST(SqlState, decides_who_is_to_blame) {
  EXPECT_EQ(kind_of_sqlstate("57P01", Kind::kDonorFailed), Kind::kLostDonor);
  EXPECT_EQ(kind_of_sqlstate("08006", Kind::kPreflight), Kind::kLostDonor);
  EXPECT_EQ(kind_of_sqlstate("", Kind::kPreflight), Kind::kLostDonor);
  EXPECT_EQ(kind_of_sqlstate("XX001", Kind::kDonorFailed), Kind::kCorrupted);
  EXPECT_EQ(kind_of_sqlstate("53400", Kind::kPreflight), Kind::kPreflight);
  EXPECT_EQ(kind_of_sqlstate("55000", Kind::kDonorFailed), Kind::kDonorFailed);
  EXPECT_EQ(kind_of_sqlstate("58030", Kind::kDonorFailed), Kind::kDonorFailed);
  EXPECT_EQ(kind_of_sqlstate("53100", Kind::kDonorFailed), Kind::kDonorFailed);
}

TEST(SqlState, of_a_connection_alone_is_one_that_another_connection_helps_against) {
  for (const char* sqlstate : {"57P01", "57P02", "57P03", "57014", "40001", "08006", "53300"})
    EXPECT_EQ(remedy_of(kind_of_sqlstate(sqlstate, Kind::kDonorFailed)), Remedy::kReconnect)
        << sqlstate;
}

TEST(SqlState, tells_how_a_clone_ended) {
  EXPECT_EQ(kind_of_sqlstate("SC001", Kind::kPreflight), Kind::kDonorFailed);
  EXPECT_EQ(kind_of_sqlstate("SC002", Kind::kPreflight), Kind::kCancelled);
  EXPECT_EQ(kind_of_sqlstate("SC003", Kind::kPreflight), Kind::kLeaseOver);
  EXPECT_EQ(kind_of_sqlstate("SC004", Kind::kPreflight), Kind::kSessionGone);
}

TEST(Conninfo, quotes_as_libpq_reads) {
  EXPECT_EQ(quote_conninfo("it's a \\ b"), "'it\\'s a \\\\ b'");
  EXPECT_EQ(quote_conninfo(""), "''");
}

TEST(Connection, a_dead_port_is_a_connection_failure_at_once) {
  StopSource stop;
  Donor donor;
  donor.connection = "host=127.0.0.1 port=1 user=x connect_timeout=3";
  try {
    Connection connection(donor, Purpose::kDatabase, nullptr, stop);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kConnection);
    EXPECT_NE(failure.message.find("127.0.0.1"), std::string::npos) << failure.message;
  }
}

TEST(Connection, that_is_only_accepted_is_given_up) {
  // A peer behind which nothing lives: the kernel accepts, nobody answers.
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(where);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&where), size), 0);
  ASSERT_EQ(listen(listener, 5), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&where), &size);
  StopSource stop;
  Donor donor;
  donor.connection = "user=x connect_timeout=2";
  Address address{"127.0.0.1", "", std::to_string(ntohs(where.sin_port)), ""};
  auto begin = std::chrono::steady_clock::now();
  try {
    Connection connection(donor, Purpose::kDatabase, &address, stop);
    ADD_FAILURE();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kConnection);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  close(listener);
}

TEST(Connection, nonsense_conninfo_is_a_usage_failure) {
  StopSource stop;
  Donor donor;
  donor.connection = "hst=127.0.0.1";
  try {
    Connection connection(donor, Purpose::kDatabase, nullptr, stop);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kUsage);
  }
}

}  // namespace
}  // namespace standby_clone
