// connection_test.cpp: what is made of the server's messages, without a server.
#include "helper/connection/connection.h"

#include <gtest/gtest.h>

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
