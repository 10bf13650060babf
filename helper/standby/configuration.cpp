// configuration.cpp: the grammar of postgresql.conf, and what pg_hba.conf, pg_ident.conf and pg_hosts.conf include and name.
#include "helper/standby/configuration.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

// As the server: deeper is a circle.
constexpr int kDepthMax = 10;

constexpr std::array<std::string_view, 5> kOfServer = {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf",
                                                       "pg_ident.conf", "pg_hosts.conf"};
// By these names TLS looks for them unless told otherwise.
constexpr std::array<std::string_view, 2> kOfTls = {"server.crt", "server.key"};

bool is_space(char letter) { return std::isspace(static_cast<unsigned char>(letter)) != 0; }

bool is_of_name(char letter) {
  auto byte = static_cast<unsigned char>(letter);
  return std::isalnum(byte) != 0 || letter == '_' || letter == '.' || byte >= 0x80;
}

// The content of a quoted value, from after its first quote on.
std::string unquoted(std::string_view text) {
  std::string value;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\'') {
      if (at + 1 == text.size() || text[at + 1] != '\'') break;
      ++at;
    } else if (text[at] == '\\' && at + 1 < text.size()) {
      constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
      ++at;
      if (auto known = kLetters.find(text[at]); known != std::string_view::npos) {
        value += kMeanings[known];
        continue;
      }
      if (text[at] >= '0' && text[at] <= '7') {
        int code = 0;
        for (int digits = 0; digits < 3 && at < text.size() && text[at] >= '0' && text[at] <= '7'; ++digits)
          code = code * 8 + (text[at++] - '0');
        --at;
        value += static_cast<char>(code);
        continue;
      }
    }
    value += text[at];
  }
  return value;
}

std::optional<std::string> text_of(const std::string& file) {
  std::error_code error;
  std::ifstream stream(file, std::ios::binary);
  if (!stream || fs::is_directory(file, error)) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::string beside(const std::string& file, const std::string& named) {
  return (fs::path(file).parent_path() / named).lexically_normal().string();
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (!name.starts_with('.') && name.ends_with(".conf")) files.push_back(at->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void read_into(Configuration& configuration, const std::string& file, bool must_exist, int depth) {
  auto text = text_of(file);
  if (!text) {
    if (must_exist) configuration.unreadable.push_back(file);
    return;
  }
  configuration.files.push_back(file);
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    auto [name, value] = assignment_in(line);
    bool includes = name == "include" || name == "include_if_exists" || name == "include_dir";
    if (name.empty()) continue;
    if (!includes) {
      configuration.settings.push_back({name, value, file});
      continue;
    }
    if (depth == kDepthMax) continue;
    std::string named = beside(file, value);
    if (name != "include_dir") {
      read_into(configuration, named, name == "include", depth + 1);
      continue;
    }
    std::error_code error;
    if (fs::is_directory(named, error))
      configuration.directories.push_back(named);
    else
      configuration.unreadable.push_back(named);
    for (const auto& included : files_in(named)) read_into(configuration, included, true, depth + 1);
  }
}

// What the server makes and no administrator writes.
bool is_of_cluster(std::string_view path) {
  auto slash = path.find('/');
  auto first = path.substr(0, slash);
  return slash != std::string_view::npos && (first == "base" || first == "global" || first.starts_with("pg_"));
}

}  // namespace

std::pair<std::string, std::string> assignment_in(std::string_view line) {
  auto skip_spaces = [&] {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  };
  skip_spaces();
  std::string name;
  while (!line.empty() && is_of_name(line.front())) {
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(line.front())));
    line.remove_prefix(1);
  }
  skip_spaces();
  if (!line.empty() && line.front() == '=') line.remove_prefix(1);
  skip_spaces();
  if (name.empty() || line.empty() || line.front() == '#') return {};
  if (line.front() == '\'') return {name, unquoted(line.substr(1))};
  auto end = std::find_if(line.begin(), line.end(), [](char letter) { return is_space(letter) || letter == '#'; });
  return {name, std::string(line.begin(), end)};
}

const Setting* Configuration::find(std::string_view name) const {
  auto found = std::find_if(settings.rbegin(), settings.rend(),
                            [&](const Setting& setting) { return setting.name == name; });
  return found == settings.rend() ? nullptr : &*found;
}

std::string Configuration::value_of(std::string_view name) const {
  const Setting* setting = find(name);
  return setting == nullptr ? "" : setting->value;
}

void Configuration::read(const std::string& file) { read_into(*this, file, true, 0); }

OwnConfiguration::OwnConfiguration(const std::string& data_directory, const std::string& config_file)
    : home_(data_directory) {
  for (const auto& names : {std::span<const std::string_view>(kOfServer), std::span<const std::string_view>(kOfTls)})
    for (const auto name : names) add(home_ + "/" + std::string(name));
  Configuration own;
  own.read(config_file.empty() ? home_ + "/postgresql.conf" : config_file);
  for (const auto& file : own.files) add(file);
  for (const auto& directory : own.directories)
    if (directory.starts_with(home_ + "/")) directories_.push_back(directory.substr(home_.size() + 1));
  std::vector<std::string> rules{home_ + "/pg_hba.conf", home_ + "/pg_ident.conf"};
  std::vector<std::string> hosts{home_ + "/pg_hosts.conf"};
  for (const auto& setting : own.settings) {
    if (!setting.name.ends_with("_file") || setting.value.empty()) continue;
    std::string file = (fs::path(home_) / setting.value).lexically_normal().string();
    add(file);
    if (setting.name == "hba_file" || setting.name == "ident_file") rules.push_back(file);
    if (setting.name == "hosts_file") hosts.push_back(file);
  }
  for (const auto& file : rules) add_access_rules(file, Rules::kAccess, 0);
  for (const auto& file : hosts) add_access_rules(file, Rules::kHosts, 0);
}

bool OwnConfiguration::contains(std::string_view path) const {
  if (std::find(files_.begin(), files_.end(), path) != files_.end()) return true;
  // A file of the donor's in such a directory would be read, too.
  auto slash = path.rfind('/');
  return slash != std::string_view::npos && path.ends_with(".conf") &&
         std::find(directories_.begin(), directories_.end(), path.substr(0, slash)) != directories_.end();
}

// If it is there, and of this data directory.
void OwnConfiguration::add(const std::string& path) {
  std::error_code error;
  if (!path.starts_with(home_ + "/") || !fs::exists(fs::symlink_status(path, error))) return;
  std::string relative = path.substr(home_.size() + 1);
  if (!is_of_cluster(relative) && !contains(relative)) files_.push_back(relative);
}

// "@file" anywhere, and lines that include (16 and later). A line of pg_hosts.conf (19 and later) is a host, its
// certificate, key and authorities, and commands.
void OwnConfiguration::add_access_rules(const std::string& path, Rules rules, int depth) {
  auto text = text_of(path);
  if (!text || depth == kDepthMax) return;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    std::replace_if(line.begin(), line.end(), [](char letter) { return letter == ',' || letter == '"'; }, ' ');
    std::istringstream words(line);
    std::string word, first;
    for (int at = 0; words >> word; ++at) {
      if (word.size() > 1 && word.front() == '@') {
        add(beside(path, word.substr(1)));
      } else if (first == "include" || first == "include_if_exists") {
        add(beside(path, word));
        add_access_rules(beside(path, word), rules, depth + 1);
      } else if (first == "include_dir") {
        std::string directory = beside(path, word);
        if (directory.starts_with(home_ + "/")) directories_.push_back(directory.substr(home_.size() + 1));
        for (const auto& file : files_in(directory)) add_access_rules(file, rules, depth + 1);
      } else if (rules == Rules::kHosts && at >= 1 && at <= 3) {
        add((fs::path(home_) / word).lexically_normal().string());
      }
      if (first.empty()) first = word;
    }
  }
}

}  // namespace standby_clone
