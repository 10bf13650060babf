// conninfo.cpp: which of the user's options go along, and in which order hosts are asked.
#include "helper/standby/conninfo.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <unistd.h>

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

// Written by us below, of this connection alone, or of a file that the server does not see: what a service names is
// among the options already.
constexpr std::array<std::string_view, 11> kLeftOut = {
    "replication", "fallback_application_name", "application_name",   "service", "servicefile", "host",
    "hostaddr",    "port",                      "load_balance_hosts", "target_session_attrs", "sslkeylogfile"};

constexpr std::array<std::string_view, 6> kPaths = {"passfile",    "sslcert", "sslkey",
                                                    "sslrootcert", "sslcrl",  "sslcrldir"};

bool is_one_of(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The server's directory is another. What is no file ("system", a key of an engine's) stays.
std::string from_the_root(const std::string& path) {
  std::error_code error;
  if (path.starts_with('/') || !fs::exists(path, error)) return path;
  return fs::absolute(path, error).lexically_normal().string();
}

bool goes_along(const ConninfoOption& option, const StandbyWay& way) {
  if (option.is_default || is_one_of(kLeftOut, option.keyword)) return false;
  if (option.is_secret) return way.with_secrets;
  if (option.keyword == "dbname") return way.with_database;
  // libpq names its default file whether it is there or not.
  return option.keyword != "passfile" || access(option.value.c_str(), R_OK) == 0;
}

std::string element(const std::string& name, const std::string& value) {
  return " " + name + "=" + quote_conninfo(value);
}

// Trap 97: a standby asks the first host of a list that answers, and one of them has its slot.
std::string hosts_of(std::vector<Address> hosts, const Address& donor) {
  auto is_donor = [&](const Address& host) {
    return host.port == donor.port && (host.host.empty() ? host.hostaddr == donor.hostaddr : host.host == donor.host) &&
           (host.hostaddr.empty() || host.hostaddr == donor.hostaddr);
  };
  auto found = std::find_if(hosts.begin(), hosts.end(), is_donor);
  if (found != hosts.end()) std::rotate(hosts.begin(), found, found + 1);
  std::string names, addresses, ports;
  bool has_names = false, has_addresses = false;
  for (const auto& host : hosts) {
    if (&host != &hosts.front()) names += ',', addresses += ',', ports += ',';
    names += host.host;
    addresses += host.hostaddr;
    ports += host.port;
    has_names |= !host.host.empty();
    has_addresses |= !host.hostaddr.empty();
  }
  return (has_names ? element("host", names) : "") + (has_addresses ? element("hostaddr", addresses) : "") +
         (ports.find_first_not_of(',') != std::string::npos ? element("port", ports) : "");
}

// After a failover the slot is wherever the primary is. A standby's own slot is there alone, whatever it becomes.
std::string session_attributes_of(const std::vector<ConninfoOption>& options, std::size_t host_count,
                                  const StandbyWay& way) {
  if (way.to_standby) return "";
  std::string given;
  for (const auto& option : options)
    if (option.keyword == "target_session_attrs" && !option.is_default) given = option.value;
  if (given != "primary" && given != "read-write") given = host_count > 1 ? "primary" : "";
  return given.empty() ? "" : element("target_session_attrs", given);
}

}  // namespace

std::string standby_conninfo(const std::vector<ConninfoOption>& options, const std::vector<Address>& hosts,
                             const Address& donor, const StandbyWay& way) {
  std::string line = "application_name=" + quote_conninfo(way.application_name);
  line += hosts_of(hosts, donor) + session_attributes_of(options, hosts.size(), way);
  bool has_password = false;
  for (const auto& option : options) {
    if (!goes_along(option, way)) continue;
    has_password |= option.keyword == "password";
    line += element(option.keyword, is_one_of(kPaths, option.keyword) ? from_the_root(option.value) : option.value);
  }
  // One that was typed in.
  if (way.with_secrets && !has_password && !donor.password.empty()) line += element("password", donor.password);
  return line;
}

}  // namespace standby_clone
