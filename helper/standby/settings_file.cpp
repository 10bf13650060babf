// settings_file.cpp: which settings these are, and the file line by line; what is not understood stays as it is.
#include "helper/standby/settings_file.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

#include "helper/disk/directory.h"

namespace standby_clone {
namespace {

struct Rule {
  std::string_view name, value;
};

// A target, and the standby pauses, stops or is promoted there; another timeline, and it does not follow a
// failover; a trigger file (15) that this host happens to have, and it is promoted at once; a command that was
// meant for the end of another recovery.
constexpr std::array<Rule, 8> kRules = {{{"recovery_target", ""},
                                         {"recovery_target_lsn", ""},
                                         {"recovery_target_name", ""},
                                         {"recovery_target_time", ""},
                                         {"recovery_target_xid", ""},
                                         {"recovery_target_timeline", "latest"},
                                         {"recovery_end_command", ""},
                                         {"promote_trigger_file", ""}}};

constexpr std::array<std::string_view, 4> kOtherPaths = {"log_directory", "ssl_crl_dir", "unix_socket_directories",
                                                         "krb_server_keyfile"};

bool is_path(std::string_view name) {
  return name.ends_with("_file") ||
         std::find(kOtherPaths.begin(), kOtherPaths.end(), name) != kOtherPaths.end();
}

using Given = std::vector<std::pair<std::string, std::string>>;

// Lines that are the clone's to write, or to leave out.
bool is_ours(const std::string& name, const std::vector<Override>& overrides, const Given& given) {
  return std::any_of(given.begin(), given.end(), [&](const auto& setting) { return setting.first == name; }) ||
         name == "primary_conninfo" || name == "primary_slot_name" || name.starts_with("recovery_target") ||
         std::any_of(kRules.begin(), kRules.end(), [&](const Rule& rule) { return rule.name == name; }) ||
         std::any_of(overrides.begin(), overrides.end(),
                     [&](const Override& change) { return change.name == name; });
}

bool is_in_auto_conf(const Setting& setting) { return setting.file.ends_with(kAutoConf); }

// A path of the donor's own data directory, said from the root on: the file is here, by another path.
std::string moved_path(std::string value, const Moved& moved) {
  if (moved.from.empty() || moved.from == moved.to) return value;
  std::string result;
  std::istringstream parts(value);  // socket directories are a list
  for (std::string part; std::getline(parts, part, ',');) {
    if (!result.empty()) result += ',';
    auto begin = part.find_first_not_of(' ');
    std::string path = begin == std::string::npos ? "" : part.substr(begin);
    result += is_inside(path, moved.from) ? moved.to + path.substr(moved.from.size()) : part;
  }
  return result;
}

}  // namespace

std::vector<Override> overrides_for(const Configuration& configuration, const Moved& moved, bool has_slot) {
  std::vector<Override> overrides;
  auto keep_to = [&](std::string_view name, std::string_view value) {
    const Setting* counts = configuration.find(name);
    if (counts != nullptr && counts->file == kGiven) return;
    const Setting* elsewhere = nullptr;
    for (const auto& setting : configuration.settings)
      if (setting.name == name && !is_in_auto_conf(setting)) elsewhere = &setting;
    for (const Setting* setting : {elsewhere, counts}) {
      if (setting == nullptr || setting->value.empty() || setting->value == value) continue;
      overrides.push_back({setting->name, std::string(value), setting->file, is_in_auto_conf(*setting)});
      return;
    }
  };
  for (const auto& rule : kRules) keep_to(rule.name, rule.value);
  if (!has_slot) keep_to("primary_slot_name", "");
  for (const auto& setting : configuration.settings) {
    if (!is_path(setting.name) || setting.file == kGiven || &setting != configuration.find(setting.name)) continue;
    std::string here = moved_path(setting.value, moved);
    if (here != setting.value) overrides.push_back({setting.name, here, setting.file});
  }
  return overrides;
}

std::string names_of(const std::vector<Override>& overrides) {
  std::string names;
  for (const auto& change : overrides)
    names += (names.empty() ? "" : ", ") + change.name + " (" +
             change.file.substr(change.file.rfind('/') + 1) + ")";
  return names;
}

std::string quote_setting(const std::string& value) {
  std::string quoted = "'";
  for (char letter : value) {
    if (letter == '\'' || letter == '\\') quoted += letter;
    quoted += letter;
  }
  return quoted + "'";
}

std::string standby_settings(const std::string& before, const std::string& conninfo, const std::string& slot_name,
                             const std::vector<Override>& overrides, const Given& given) {
  std::string settings;
  std::istringstream lines(before);
  for (std::string line; std::getline(lines, line);)
    if (!is_ours(assignment_in(line).first, overrides, given)) settings += line + "\n";
  if (settings.empty())
    settings =
        "# Do not edit this file manually!\n"
        "# It will be overwritten by the ALTER SYSTEM command.\n";
  for (const auto& change : overrides)
    if (!change.is_dropped) settings += change.name + " = " + quote_setting(change.value) + "\n";
  for (auto setting = given.begin(); setting != given.end(); ++setting)
    if (std::none_of(setting + 1, given.end(), [&](const auto& later) { return later.first == setting->first; }))
      settings += setting->first + " = " + quote_setting(setting->second) + "\n";
  settings += "primary_conninfo = " + quote_setting(conninfo) + "\n";
  if (!slot_name.empty()) settings += "primary_slot_name = " + quote_setting(slot_name) + "\n";
  return settings;
}

}  // namespace standby_clone
