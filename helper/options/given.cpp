// given.cpp: where an option comes from when it is not on the command line.
#include "helper/options/given.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

constexpr char kPrefix[] = "PG_STANDBY_CLONE_";
constexpr std::size_t kFileMax = 64 * 1024;

constexpr const char* kNotOfEnvironment[] = {"assume-stopped", "delta",         "standalone",   "allow-overwrite",
                                             "manage-server",  "start-command", "stop-command", "on-end"};
// Of the command line alone.
constexpr const char* kOfNowhereElse[] = {"help", "version"};

template <std::size_t Count>
bool is_among(const std::string& name, const char* const (&names)[Count]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string trimmed(const std::string& text) {
  auto begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

// What stands between single quotes; false: it does not end with one.
bool unquote(std::string& value) {
  if (!value.starts_with('\'')) return true;
  std::string plain;
  std::size_t at = 1;
  for (; at < value.size(); ++at) {
    if (value[at] == '\'' && (at + 1 == value.size() || value[++at] != '\'')) break;
    plain += value[at];
  }
  bool is_whole = at + 1 == value.size();
  value = plain;
  return is_whole;
}

std::string content_of(const std::string& path) {
  auto refuse = [&](const std::string& why, const std::string& hint) {
    fail(Kind::kUsage, fmt::format("options file \"{}\" {}", path, why), hint);
  };
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) refuse(fmt::format("cannot be opened: {}", std::strerror(errno)), "Name a file that this user can read.");
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) refuse("is no file", "Name a plain file.");
  if ((status.st_uid != geteuid() && status.st_uid != 0) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    refuse("could have been written by another user",
           "It must belong to this user or root, and be writable by its owner alone: chmod go-w.");
  std::string content(kFileMax + 1, '\0');
  std::size_t size = 0;
  for (ssize_t got; size < content.size(); size += static_cast<std::size_t>(got)) {
    got = read(file.get(), content.data() + size, content.size() - size);
    if (got < 0) refuse(fmt::format("cannot be read: {}", std::strerror(errno)), "Name a file that this user can read.");
    if (got == 0) break;
  }
  if (size > kFileMax) refuse("is longer than 64 kB", "Name a file with one option a line.");
  content.resize(size);
  return content;
}

CLI::Option* find_option(CLI::App& app, const std::string& name) {
  return app.get_option_no_throw("--" + name);
}

}  // namespace

std::vector<Given> options_of_environment(const char* const* environment) {
  std::vector<Given> given;
  for (; *environment != nullptr; ++environment) {
    std::string variable = *environment;
    auto equal = variable.find('=');
    if (!variable.starts_with(kPrefix) || equal == std::string::npos || equal + 1 == variable.size()) continue;
    std::string name = variable.substr(std::strlen(kPrefix), equal - std::strlen(kPrefix));
    for (char& letter : name) letter = letter == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    std::string where = fmt::format("environment variable {}", variable.substr(0, equal));
    if (is_among(name, kNotOfEnvironment))
      fail(Kind::kUsage, fmt::format("{}: this option is not taken from the environment", where),
           fmt::format("Unset it, and give --{} on the command line or in an options file.", name));
    given.push_back({name, variable.substr(equal + 1), where});
  }
  return given;
}

std::vector<Given> options_of_file(const std::string& path) {
  std::vector<Given> given;
  std::istringstream lines(content_of(path));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    std::string where = fmt::format("options file \"{}\", line {}", path, ++number);
    line = trimmed(line);
    if (line.empty() || line.front() == '#') continue;
    auto equal = line.find('=');
    std::string name = trimmed(line.substr(0, equal)), value = equal == std::string::npos ? "true" : trimmed(line.substr(equal + 1));
    if (name == "options-file" || !unquote(value) || value.find('\0') != std::string::npos)
      fail(Kind::kUsage, fmt::format("{}: this is not an option: {}", where, line.substr(0, 60)),
           "Write name = value, with the long name of an option and no dashes; a value may stand in single quotes.");
    given.push_back({name, value, where});
  }
  return given;
}

void take_given(CLI::App& app, const std::vector<Given>& given) {
  std::set<const CLI::Option*> before;
  for (const auto* option : app.get_options())
    if (option->count() > 0) before.insert(option);
  std::map<CLI::Option*, std::string> taken;  // and where it was given
  for (const auto& one : given) {
    CLI::Option* option = is_among(one.name, kOfNowhereElse) ? nullptr : find_option(app, one.name);
    if (option == nullptr)
      fail(Kind::kUsage, fmt::format("{}: there is no option \"{}\" that could be given there", one.where, one.name),
           "pg_standby_clone --help=all names all options; those of an agent are its own.");
    if (before.count(option) > 0) continue;
    option->add_result(one.value);
    taken[option] = one.where;
  }
  for (auto& [option, where] : taken) {
    try {
      option->run_callback();
    } catch (const CLI::Error& error) {
      fail(Kind::kUsage, fmt::format("{}: {}", where, error.what()), "Give each option once, with a value it can have.");
    }
  }
}

}  // namespace standby_clone
