// conninfo.cpp: options, as libpq reads and writes them.
#include "helper/connection/conninfo.h"

#include <algorithm>
#include <cstdlib>
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

// See take_environment().
struct {
  std::string password, service;
} taken;

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
  keywords.add_given("service", taken.service);
  keywords.add("fallback_application_name", "pg_standby_clone");
  if (donor.primary_only) keywords.add("target_session_attrs", "primary");
  // After it: what overrules the conninfo string.
  keywords.add_given("dbname", donor.connection);
  keywords.add_given("host", donor.host);
  keywords.add_given("port", donor.port);
  keywords.add_given("user", donor.user);
  return keywords;
}

// Nobody's wish: libpq's own, or ours. What the environment names is a wish also where it says the same.
bool is_default(const PQconninfoOption& option) {
  if (option.envvar != nullptr && std::getenv(option.envvar) != nullptr) return false;
  for (auto& [name, value] : kOurs)
    if (std::strcmp(option.keyword, name) == 0 && std::strcmp(option.val, value) == 0) return true;
  return option.compiled != nullptr && std::strcmp(option.val, option.compiled) == 0;
}

// libpq marks what must not be shown; the keys that stand for a password it only hides.
bool is_secret(const PQconninfoOption& option) {
  return option.dispchar[0] == '*' || std::strncmp(option.keyword, "scram_", 6) == 0;
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
    options.push_back({option->keyword, option->val, is_default(*option), is_secret(*option)});
  }
  return options;
}

}  // namespace

void take_environment() {
  for (auto [name, value] : {std::pair("PGPASSWORD", &taken.password), std::pair("PGSERVICE", &taken.service)}) {
    const char* given = std::getenv(name);
    *value = given == nullptr ? "" : given;
    unsetenv(name);
  }
}

// Twice, since each time one option is not what it will be. The first time it also shows whether
// anybody names a database: without, libpq takes the user's name.
Conninfo::Conninfo(const Donor& donor) {
  if (donor.as_server) {
    read_as_server(donor.connection);
    return;
  }
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
  if (value("password").empty() && !taken.password.empty())
    options_.push_back({"password", taken.password, false, true});
  for (auto& option : options_)
    option.is_default |= donor.primary_only && option.keyword == "target_session_attrs" && option.value == "primary";
}

// As libpqwalreceiver does, and with our watch over a dead peer.
void Conninfo::read_as_server(const std::string& conninfo) {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> found(PQconninfoParse(conninfo.c_str(), nullptr),
                                                                       PQconninfoFree);
  if (!found) fail(Kind::kInternal, "libpq does not understand: " + conninfo);
  for (auto* option = found.get(); option->keyword != nullptr; ++option)
    if (option->val != nullptr && std::strcmp(option->keyword, "dbname") != 0)
      options_.push_back({option->keyword, option->val, false, is_secret(*option)});
  for (auto& [name, ours] : kOurs)
    if (value(name).empty()) options_.push_back({name, ours, true, false});
  // What a password file's lines are compared with.
  options_.push_back({"dbname", "replication", false, false});
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

std::string quote_conninfo(const std::string& value) {
  std::string quoted = "'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

}  // namespace standby_clone
