// conninfo.cpp: options, as libpq reads and writes them.
#include "helper/connection/conninfo.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

#include "helper/connection/connection.h"
#include "helper/connection/libpq.h"

namespace standby_clone {
namespace {

bool is_conninfo(const std::string& text) {
  return text.find('=') != std::string::npos || text.starts_with("postgres://") ||
         text.starts_with("postgresql://");
}

struct Keywords {
  std::vector<std::string> names, values;

  void add(const char* name, const std::string& value) {
    names.emplace_back(name);
    values.push_back(value);
  }
  void add_given(const char* name, const std::string& value) {
    if (!value.empty()) add(name, value);
  }
};

constexpr char kDefaultDatabase[] = "postgres";

struct Said {
  bool has_database = false, has_service = false;
};

Said said_in(const std::string& conninfo) {
  char* error = nullptr;
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(conninfo.c_str(), &error), PQconninfoFree);
  if (!options) {
    std::string reason = trimmed(error);
    PQfreemem(error);
    fail(Kind::kUsage, "the connection string cannot be read: " + reason,
         "Correct --dbname (-d).");
  }
  Said said;
  for (auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    said.has_database |= std::strcmp(option->keyword, "dbname") == 0;
    said.has_service |= std::strcmp(option->keyword, "service") == 0;
  }
  return said;
}

std::vector<std::string> split_at_commas(const char* text) {
  std::vector<std::string> parts(1);
  for (const char* letter = text == nullptr ? "" : text; *letter != '\0'; ++letter) {
    if (*letter == ',')
      parts.emplace_back();
    else
      parts.back() += *letter;
  }
  return parts;
}

}  // namespace

std::string quote_conninfo(const std::string& value) {
  std::string quoted = "'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

void Connection::connect(const Donor& donor, Purpose purpose, const Address* address) {
  Keywords keywords;
  // Before dbname: the user's own words overrule them. A dead peer is noticed in half a
  // minute, not in hours.
  keywords.add("keepalives_idle", "10");
  keywords.add("keepalives_interval", "5");
  keywords.add("keepalives_count", "4");
  keywords.add("tcp_user_timeout", "30000");
  keywords.add("fallback_application_name", "pg_standby_clone");
  primary_only_ = donor.primary_only;
  if (primary_only_) keywords.add("target_session_attrs", "primary");
  bool names_database = false;
  if (is_conninfo(donor.connection)) {
    auto said = said_in(donor.connection);
    names_database = said.has_database;
    keywords.add("dbname", donor.connection);
    // Only the first "dbname" is taken apart; a second one is a name.
    bool has_default = said.has_service || said.has_database || std::getenv("PGDATABASE") != nullptr;
    if (!has_default) keywords.add("dbname", kDefaultDatabase);
  } else {
    names_database = !donor.connection.empty();
    const char* from_environment = std::getenv("PGDATABASE");
    std::string fallback = from_environment != nullptr ? from_environment : kDefaultDatabase;
    keywords.add("dbname", names_database ? donor.connection : fallback);
  }
  user_gave_database_ = names_database;
  // After it: what overrules the conninfo string.
  keywords.add_given("host", donor.host);
  keywords.add_given("port", donor.port);
  keywords.add_given("user", donor.user);
  keywords.add_given("password", password_);
  if (address != nullptr && !address->port.empty()) {
    keywords.add("host", address->host);
    keywords.add("hostaddr", address->hostaddr);
    keywords.add("port", address->port);
    keywords.add("target_session_attrs", "any");
  }
  if (purpose == Purpose::kReplication) {
    keywords.add("replication", "true");
    // A half-made clone must not be taken for the standby it will be (trap 75).
    keywords.add("application_name", "pg_standby_clone");
  }
  std::vector<const char*> names, values;
  for (const auto& name : keywords.names) names.push_back(name.c_str());
  for (const auto& value : keywords.values) values.push_back(value.c_str());
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(names.data(), values.data(), 1);
  if (connection_ == nullptr) fail(Kind::kInternal, "out of memory for a connection");
  PQsetNoticeReceiver(
      connection_,
      [](void* notice, const PGresult* result) {
        *static_cast<std::string*>(notice) = field(result, PG_DIAG_MESSAGE_PRIMARY);
      },
      &last_notice_);
}

std::vector<Address> Connection::choices() const {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfo(connection_),
                                                                         PQconninfoFree);
  std::vector<std::string> hosts(1), addresses(1), ports(1);
  for (auto* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    std::string keyword = option->keyword;
    if (keyword == "host") hosts = split_at_commas(option->val);
    if (keyword == "hostaddr") addresses = split_at_commas(option->val);
    if (keyword == "port") ports = split_at_commas(option->val);
  }
  std::vector<Address> choices(std::max(hosts.size(), addresses.size()));
  for (std::size_t index = 0; index < choices.size(); ++index) {
    if (index < hosts.size()) choices[index].host = hosts[index];
    if (index < addresses.size()) choices[index].hostaddr = addresses[index];
    // One port is for all hosts.
    choices[index].port = ports[ports.size() == 1 ? 0 : std::min(index, ports.size() - 1)];
    choices[index].password = password_;
  }
  return choices;
}

std::string Connection::standby_conninfo(const std::string& application_name, bool with_password,
                                         bool with_database) const {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfo(connection_),
                                                                         PQconninfoFree);
  if (!options) fail(Kind::kInternal, "out of memory for connection options");
  constexpr const char* kLeftOut[] = {"replication", "fallback_application_name",
                                      "application_name"};
  // Ours, unless the user gave others.
  constexpr std::pair<const char*, const char*> kOurs[] = {{"keepalives_idle", "10"},
                                                           {"keepalives_interval", "5"},
                                                           {"keepalives_count", "4"},
                                                           {"tcp_user_timeout", "30000"}};
  std::string line = "application_name=" + quote_conninfo(application_name);
  for (auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || option->val[0] == '\0') continue;
    std::string keyword = option->keyword, value = option->val;
    bool is_left_out = false;
    for (const char* name : kLeftOut) is_left_out |= keyword == name;
    for (auto& [name, ours] : kOurs) is_left_out |= keyword == name && value == ours;
    if (keyword == "password" && !with_password) is_left_out = true;
    // libpq names its default file whether it is there or not.
    if (keyword == "passfile" && access(option->val, R_OK) != 0) is_left_out = true;
    if (keyword == "target_session_attrs" && primary_only_ && value == "primary") is_left_out = true;
    if (keyword == "dbname" && !(with_database && user_gave_database_)) is_left_out = true;
    if (option->compiled != nullptr && value == option->compiled && keyword != "port")
      is_left_out = true;
    if (is_left_out) continue;
    line += " " + keyword + "=" + quote_conninfo(value);
  }
  return line;
}

}  // namespace standby_clone
