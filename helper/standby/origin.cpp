// origin.cpp: JSON, by nlohmann's library.
#include "helper/standby/origin.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <unistd.h>

#include "helper/base/host_name.h"
#include "helper/base/size.h"
#include "helper/base/text.h"
#include "helper/disk/directory.h"
#include "protocol/version.h"

namespace standby_clone {
namespace {

using Json = nlohmann::ordered_json;

std::string user_name() {
  const passwd* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : std::to_string(geteuid());
}

}  // namespace

std::string text_of(const StandbyOrigin& origin) {
  Json text{{"id", origin.id},
            {"name", readable(origin.name)},
            {"slot", origin.slot.empty() ? Json(nullptr) : Json(readable(origin.slot))},
            {"donor", {{"host", readable(origin.donor_host)}, {"port", readable(origin.donor_port)}}},
            // More digits than a number of JSON is sure to keep.
            {"system_identifier", std::to_string(origin.system_identifier)},
            {"server_version", origin.server_version},
            {"method", origin.method},
            {"timeline", origin.timeline},
            {"start_lsn", to_string(origin.start_lsn)},
            {"stop_lsn", to_string(origin.stop_lsn)},
            {"verified_checksums", origin.verified_checksums},
            {"completed_at", utc_time(origin.completed_at, "%Y-%m-%dT%H:%M:%SZ")},
            {"made_by", {{"program", std::string("pg_standby_clone ") + protocol::kVersion},
                         {"host", readable(host_name())},
                         {"user", readable(user_name())}}}};
  return text.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<StandbyOrigin> read_origin(const std::string& data_directory) {
  auto text = read_if_there(data_directory + "/" + kOriginFile);
  if (!text) return std::nullopt;
  Json read = Json::parse(*text, nullptr, false);
  try {
    StandbyOrigin origin;
    origin.id = read.at("id").get<std::int64_t>();
    origin.name = read.at("name").get<std::string>();
    origin.slot = read.at("slot").is_null() ? "" : read.at("slot").get<std::string>();
    origin.donor_host = read.at("donor").at("host").get<std::string>();
    origin.donor_port = read.at("donor").at("port").get<std::string>();
    auto digits = read.at("system_identifier").get<std::string>();
    auto end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, origin.system_identifier).ptr != end || digits.empty()) return std::nullopt;
    origin.server_version = read.at("server_version").get<int>();
    origin.method = read.at("method").get<std::string>();
    origin.timeline = read.at("timeline").get<Timeline>();
    origin.verified_checksums = read.at("verified_checksums").get<bool>();
    return origin;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace standby_clone
