// conninfo.cpp: options, as libpq reads and writes them.
#include "helper/connection/conninfo.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/connection/libpq.h"

namespace standby_clone {
namespace {

constexpr char kDefaultDatabase[] = "postgres";

// No option has this value: libpq puts all options together, refuses this one, and connects nowhere.
constexpr char kNowhere[] = "pg_standby_clone:nowhere";

// Ours, unless the user gave others: a dead peer is noticed in half a minute, not in hours.
constexpr std::pair<const char*, const char*> kOurs[] = {{"keepalives_idle", "10"},
                                                         {"keepalives_interval", "5"},
                                                         {"keepalives_count", "4"},
                                                         {"tcp_user_timeout", "30000"}};

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char letter : text) {
    if (letter == ',')
      parts.emplace_back();
    else
      parts.back() += letter;
  }
  return parts;
}

Keywords words_of(const Donor& donor) {
  Keywords keywords;
  // Before dbname: the user's own words overrule them.
  for (auto& [name, value] : kOurs) keywords.add(name, value);
  keywords.add("fallback_application_name", "pg_standby_clone");
  if (donor.primary_only) keywords.add("target_session_attrs", "primary");
  // After it: what overrules the conninfo string.
  keywords.add_given("dbname", donor.connection);
  keywords.add_given("host", donor.host);
  keywords.add_given("port", donor.port);
  keywords.add_given("user", donor.user);
  return keywords;
}

// All that libpq makes of these words, where one of them is kNowhere.
std::vector<ConninfoOption> filled_in(const Keywords& keywords) {
  std::unique_ptr<PGconn, void (*)(PGconn*)> nowhere(keywords.start(true), PQfinish);
  std::string refusal = trimmed(PQerrorMessage(nowhere.get()));
  if (refusal.find(kNowhere) == std::string::npos)
    fail(Kind::kUsage, "the connection string cannot be read: " + refusal,
         "Correct --dbname (-d), the service it names, or the environment (PGHOST, PGSERVICE, ...).");
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> found(PQconninfo(nowhere.get()),
                                                                       PQconninfoFree);
  if (!found) fail(Kind::kInternal, "out of memory for connection options");
  std::vector<ConninfoOption> options;
  for (auto* option = found.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || option->val[0] == '\0') continue;
    bool is_default = option->compiled != nullptr && std::strcmp(option->val, option->compiled) == 0;
    bool is_secret = option->dispchar != nullptr && option->dispchar[0] == '*';
    options.push_back({option->keyword, option->val, is_default, is_secret});
  }
  return options;
}

}  // namespace

// Twice, since each time one option is not what it will be. The first time it also shows whether
// anybody names a database: without, libpq takes the user's name.
Conninfo::Conninfo(const Donor& donor) : primary_only_(donor.primary_only) {
  Keywords first = words_of(donor), second = first;
  first.add("user", kNowhere);
  first.add("channel_binding", kNowhere);
  second.add("sslmode", kNowhere);
  options_ = filled_in(second);
  std::erase_if(options_, [](const auto& option) {
    return option.keyword == "sslmode" || option.keyword == "dbname";
  });
  for (const auto& option : filled_in(first)) {
    if (option.keyword == "sslmode") options_.push_back(option);
    if (option.keyword != "dbname") continue;
    if (option.value != kNowhere) options_.push_back(option);
  }
}

std::string Conninfo::value(const std::string& keyword) const {
  for (const auto& option : options_)
    if (option.keyword == keyword) return option.value;
  return {};
}

std::string Conninfo::database() const {
  std::string named = value("dbname");
  return named.empty() ? kDefaultDatabase : named;
}

std::vector<Address> Conninfo::hosts() const {
  auto hosts = split_at_commas(value("host")), addresses = split_at_commas(value("hostaddr")),
       ports = split_at_commas(value("port"));
  std::vector<Address> all(std::max(hosts.size(), addresses.size()));
  for (std::size_t index = 0; index < all.size(); ++index) {
    if (index < hosts.size()) all[index].host = hosts[index];
    if (index < addresses.size()) all[index].hostaddr = addresses[index];
    // One port is for all hosts.
    all[index].port = ports[ports.size() == 1 ? 0 : std::min(index, ports.size() - 1)];
  }
  return all;
}

std::string Conninfo::for_standby(const std::string& application_name, bool with_password,
                                  bool with_database) const {
  constexpr const char* kLeftOut[] = {"replication", "fallback_application_name",
                                      "application_name"};
  std::string line = "application_name=" + quote_conninfo(application_name);
  for (const auto& [keyword, value, is_default, is_secret] : options_) {
    bool is_left_out = is_default && keyword != "port";
    for (const char* name : kLeftOut) is_left_out |= keyword == name;
    for (auto& [name, ours] : kOurs) is_left_out |= keyword == name && value == ours;
    if (keyword == "password" && !with_password) is_left_out = true;
    // libpq names its default file whether it is there or not.
    if (keyword == "passfile" && access(value.c_str(), R_OK) != 0) is_left_out = true;
    if (keyword == "target_session_attrs" && primary_only_ && value == "primary") is_left_out = true;
    if (keyword == "dbname" && !with_database) is_left_out = true;
    if (!is_left_out) line += " " + keyword + "=" + quote_conninfo(value);
  }
  return line;
}

std::string quote_conninfo(const std::string& value) {
  std::string quoted = "'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

}  // namespace standby_clone
