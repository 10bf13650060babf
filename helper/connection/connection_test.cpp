// connection_test.cpp: what is made of the server's messages, without a server.
#include "helper/connection/connection.h"
#include "helper/connection/login.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

namespace standby_clone {
namespace {

constexpr char kNoEntry[] =
    "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  28000: no pg_hba.conf entry for host "
    "\"10.0.0.7\", user \"replicator\", database \"postgres\", no encryption\n"
    "LOCATION:  ClientAuthentication, auth.c:543";

TEST(ServerWords, are_taken_apart) {
  auto words = server_words(kNoEntry);
  EXPECT_EQ(words.sqlstate, "28000");
  EXPECT_EQ(words.text,
            "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  no pg_hba.conf entry for host "
            "\"10.0.0.7\", user \"replicator\", database \"postgres\", no encryption");
}

TEST(ServerWords, of_two_refusals_the_last_counts) {
  auto words = server_words("a failed: FATAL:  28000: no SSL\nLOCATION:  X, auth.c:1\n"
                            "b failed: FATAL:  53300: zu viele\nORT:  Y, proc.c:22");
  EXPECT_EQ(words.sqlstate, "53300");
  EXPECT_EQ(words.text, "a failed: FATAL:  no SSL\nb failed: FATAL:  zu viele");
}

TEST(ServerWords, of_nobody_but_libpq_stay) {
  const char* refused = "connection to server at \"::1\", port 1 failed: Connection refused\n"
                        "\tIs the server running on that host and accepting TCP/IP connections?";
  EXPECT_EQ(server_words(refused).text, refused);
  EXPECT_EQ(server_words(refused).sqlstate, "");
}

TEST(HbaLines, ready_to_paste_for_a_host) {
  EXPECT_EQ(hba_lines(server_words(kNoEntry), "replicator", "postgres"),
            "  host  \"postgres\"  \"replicator\"  10.0.0.7/32  scram-sha-256\n"
            "  host  replication  \"replicator\"  10.0.0.7/32  scram-sha-256\n");
}

TEST(HbaLines, in_any_language) {
  auto words = server_words(
      "Verbindung zum Server auf »10.0.0.1«, Port 5432 fehlgeschlagen: FATAL:  28000: kein "
      "pg_hba.conf-Eintrag für Host »10.0.0.7«, Benutzer »r«, Datenbank »postgres«, keine "
      "Verschlüsselung\nORT:  ClientAuthentication, auth.c:543");
  EXPECT_NE(hba_lines(words, "r", "postgres").find("  host  replication  \"r\"  10.0.0.7/32"),
            std::string::npos);
}

TEST(HbaLines, for_a_replication_connection_over_ipv6) {
  auto lines = hba_lines(
      server_words("FATAL:  28000: no pg_hba.conf entry for replication connection from host \"fe80::1\", "
                   "user \"r\", SSL encryption"),
      "r", "db");
  EXPECT_NE(lines.find("host  replication  \"r\"  fe80::1/128"), std::string::npos);
  EXPECT_NE(lines.find("host  \"db\"  \"r\""), std::string::npos);
}

TEST(HbaLines, for_a_socket) {
  auto lines = hba_lines(server_words("FATAL:  28000: no pg_hba.conf entry for host \"[local]\", user "
                                      "\"r\", database \"postgres\", no encryption"),
                         "r", "postgres");
  EXPECT_NE(lines.find("local  replication  \"r\"  scram-sha-256"), std::string::npos);
}

TEST(HbaLines, nothing_for_other_messages) {
  EXPECT_EQ(hba_lines(server_words("FATAL:  28P01: password authentication failed for user \"r\""), "r",
                      "postgres"),
            "");
  EXPECT_EQ(hba_lines(server_words("FATAL:  28000: role \"r\" does not exist"), "r", "postgres"), "");
}

TEST(SqlState, decides_who_is_to_blame) {
  EXPECT_EQ(kind_of_sqlstate("57P01", Kind::kDonorFailed), Kind::kLostDonor);
  EXPECT_EQ(kind_of_sqlstate("57P02", Kind::kDonorFailed), Kind::kDonorCrashed);
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

// A peer on this host that the kernel connects to: nobody answers, or always with this refusal.
class Peer {
 public:
  explicit Peer(const char* host, std::string sqlstate = "") : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    inet_pton(AF_INET, host, &where.sin_addr);
    socklen_t size = sizeof(where);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&where), size), 0);
    EXPECT_EQ(listen(listener_, 5), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
    if (sqlstate.empty()) return;
    thread_ = std::thread([this, sqlstate] {
      int client;
      while ((client = accept(listener_, nullptr, nullptr)) >= 0) {
        char startup[1000];
        [[maybe_unused]] auto got = recv(client, startup, sizeof(startup), 0);
        std::string body = "SFATAL" + std::string(1, '\0') + "VFATAL" + std::string(1, '\0') + "C" +
                           sqlstate + std::string(1, '\0') + "Mkein Platz" + std::string(1, '\0') +
                           "Fproc.c" + std::string(1, '\0') + "L12" + std::string(1, '\0') + "RInit" +
                           std::string(2, '\0');
        std::string message = "E" + std::string(3, '\0') + static_cast<char>(body.size() + 4) + body;
        ++asked_;  // before the answer: whoever has it may look at once
        [[maybe_unused]] auto sent = send(client, message.data(), message.size(), 0);
        close(client);
      }
    });
  }
  ~Peer() {
    shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    close(listener_);
  }
  int asked() const { return asked_; }
  std::string port() const { return std::to_string(port_); }

 private:
  int listener_;
  int port_ = 0;
  std::atomic<int> asked_{0};
  std::thread thread_;
};

struct Attempt {
  std::optional<Failure> failure;
  std::chrono::duration<double> took;
};

Attempt attempt(const std::string& words, const Address* address = nullptr) {
  StopSource stop;
  Donor donor;
  donor.connection = words + " user=x sslmode=disable gssencmode=disable";
  donor.never_ask_password = true;
  auto begin = std::chrono::steady_clock::now();
  try {
    Connection connection(donor, Purpose::kDatabase, address, stop);
  } catch (const Failure& failure) {
    return {failure, std::chrono::steady_clock::now() - begin};
  }
  return {};
}

TEST(Connection, that_is_only_accepted_is_given_up) {
  Peer silent("127.0.0.1");
  Address address{"127.0.0.1", "", silent.port(), ""};
  auto result = attempt("connect_timeout=2", &address);
  EXPECT_EQ(result.failure->kind, Kind::kConnection);
  EXPECT_LT(result.took.count(), 5);
}

TEST(Connection, to_the_next_host_when_one_is_silent) {
  Peer silent("127.0.0.1"), full("127.0.0.2", "53300");
  std::string list = "host=127.0.0.1,127.0.0.2 port=" + silent.port() + "," + full.port();
  auto result = attempt(list + " connect_timeout=2");
  EXPECT_EQ(full.asked(), 1);
  EXPECT_EQ(result.failure->kind, Kind::kBusy) << result.failure->message;
  EXPECT_NE(result.failure->message.find("kein Platz"), std::string::npos);
  EXPECT_NE(result.failure->message.find("127.0.0.1"), std::string::npos) << "and of the first one";
  EXPECT_EQ(result.failure->message.find("LOCATION"), std::string::npos) << result.failure->message;
  EXPECT_LT(result.took.count(), 5);
}

TEST(Connection, ends_at_a_server_that_refuses_but_not_at_one_that_starts_up) {
  Peer first("127.0.0.1", "28P01"), starts("127.0.0.1", "57P03"), last("127.0.0.1", "3D000");
  auto list = [&](const Peer& begin) {
    return "host=127.0.0.1,127.0.0.1 port=" + begin.port() + "," + last.port();
  };
  EXPECT_EQ(attempt(list(first)).failure->kind, Kind::kConnection);
  EXPECT_EQ(last.asked(), 0);
  EXPECT_NE(attempt(list(starts)).failure->hint.find("--dbname"), std::string::npos);
  EXPECT_EQ(last.asked(), 1);
}

TEST(Connection, to_a_name_that_nobody_knows) {
  auto result = attempt("host=nobody.invalid,127.0.0.1 port=1");
  EXPECT_EQ(result.failure->kind, Kind::kConnection);
  EXPECT_NE(result.failure->message.find("nobody.invalid"), std::string::npos);
  EXPECT_NE(result.failure->message.find("refused"), std::string::npos) << result.failure->message;
}

// Restores what it sets.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

Conninfo read(const std::string& words) {
  Donor donor;
  donor.connection = words;
  return Conninfo(donor);
}

TEST(Conninfo, has_a_database_of_its_own_where_nobody_names_one) {
  EXPECT_EQ(read("host=a user=x").database(), "postgres");
  EXPECT_EQ(read("host=a user=x").value("dbname"), "");
  EXPECT_EQ(read("host=a dbname=b").database(), "b");
  EXPECT_EQ(read("other").database(), "other");
  EXPECT_EQ(read("postgresql://x@a/b").database(), "b");
  Environment database("PGDATABASE", "c");
  EXPECT_EQ(read("host=a").database(), "c");
}

TEST(Conninfo, knows_the_service_and_the_environment) {
  std::string file = "/tmp/conninfo_test.service." + std::to_string(getpid());
  std::ofstream(file) << "[with]\nhost=h1,h2\nport=7\ndbname=d\nconnect_timeout=3\n[without]\nhost=h3\n";
  Environment services("PGSERVICEFILE", file);
  auto said = read("service=with");
  EXPECT_EQ(said.database(), "d");
  EXPECT_EQ(said.value("connect_timeout"), "3");
  ASSERT_EQ(said.hosts().size(), 2u);
  EXPECT_EQ(said.hosts()[1].host, "h2");
  EXPECT_EQ(said.hosts()[1].port, "7");
  EXPECT_EQ(read("service=without").database(), "postgres");
  {
    Environment service("PGSERVICE", "with"), host("PGHOST", "elsewhere"), user("PGUSER", "u");
    EXPECT_EQ(read("").database(), "d");
    EXPECT_EQ(read("").value("host"), "h1,h2");
    EXPECT_EQ(read("").value("user"), "u");
    EXPECT_EQ(read("other").database(), "other");
  }
  EXPECT_THROW(read("service=nowhere"), Failure);
  unlink(file.c_str());
}

TEST(Conninfo, keeps_what_it_was_read_with) {
  auto said = read("host=a sslmode=require channel_binding=disable");
  EXPECT_EQ(said.value("sslmode"), "require");
  EXPECT_EQ(said.value("channel_binding"), "disable");
  EXPECT_EQ(read("host=a").value("sslmode"), "prefer");
  EXPECT_THROW(read("host=a,b port=1,2,3"), Failure);
}

bool is_default(const Conninfo& conninfo, const std::string& keyword) {
  for (const auto& option : conninfo.options())
    if (option.keyword == keyword) return option.is_default;
  return true;
}

TEST(Conninfo, knows_what_nobody_asked_for) {
  EXPECT_TRUE(is_default(read("host=a"), "sslmode"));
  EXPECT_TRUE(is_default(read("host=a"), "keepalives_idle"));
  EXPECT_FALSE(is_default(read("host=a keepalives_idle=7"), "keepalives_idle"));
  // A wish that says what is so anyway: against a variable that says otherwise it has to be said.
  Environment mode("PGSSLMODE", "require");
  EXPECT_FALSE(is_default(read("host=a sslmode=prefer"), "sslmode"));
  Donor ours;
  ours.primary_only = true;
  EXPECT_TRUE(is_default(Conninfo(ours), "target_session_attrs"));
  EXPECT_FALSE(is_default(read("host=a target_session_attrs=primary"), "target_session_attrs"));
}

TEST(Conninfo, as_a_server_reads_its_own) {
  std::string file = "/tmp/conninfo_test.service." + std::to_string(getpid());
  std::ofstream(file) << "[with]\nhost=h1\npassword=of-service\n";
  Environment services("PGSERVICEFILE", file), service("PGSERVICE", "with"), password("PGPASSWORD", "typed"),
      mode("PGSSLMODE", "require"), balance("PGLOADBALANCEHOSTS", "random"), attributes("PGTARGETSESSIONATTRS", "standby");
  take_environment();
  EXPECT_EQ(getenv("PGPASSWORD"), nullptr);
  EXPECT_EQ(getenv("PGSERVICE"), nullptr);
  EXPECT_EQ(read("host=a").value("password"), "of-service");
  EXPECT_EQ(read("host=a password=said").value("password"), "said");
  Donor server;
  server.connection = "user='u' host='a,b' port='1,2' dbname='d'";
  server.as_server = true;
  Conninfo seen(server);
  ASSERT_EQ(seen.hosts().size(), 2u);
  EXPECT_EQ(seen.hosts()[1].port, "2");
  EXPECT_EQ(seen.database(), "replication");
  EXPECT_EQ(seen.value("keepalives_idle"), "10");
  for (const char* keyword : {"password", "sslmode", "load_balance_hosts", "target_session_attrs", "service"})
    EXPECT_EQ(seen.value(keyword), "") << keyword;
  take_environment();  // nothing is left of it
  EXPECT_EQ(read("host=a").value("password"), "");
  unlink(file.c_str());
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
