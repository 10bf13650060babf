// server.cpp: pg_ctl, or the administrator's own commands.
#include "helper/server/server.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

#include "helper/base/failure.h"

#ifndef SERVER_BINARIES
#define SERVER_BINARIES ""
#endif

namespace standby_clone {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Lines of the log in an error.
constexpr std::size_t kLastLines = 12;
// A start command may return before the server has written its lock file; a server that is
// not there after this time has ended.
constexpr auto kAbsenceLimit = std::chrono::seconds(10);

std::string text_of_file(const std::string& path, std::uintmax_t from = 0) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

std::string own_directory() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::vector<std::string> places_of_binaries(int major) {
  std::vector<std::string> places{own_directory(), SERVER_BINARIES,
                                  fmt::format("/usr/lib/postgresql/{}/bin", major)};
  std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  std::replace(path.begin(), path.end(), ':', '\n');
  for (const auto& place : lines_of(path)) places.push_back(place);
  return places;
}

// The server's own words, where it collects them in files of its own.
std::string collected_log(const std::string& data_directory) {
  for (const auto& line : lines_of(text_of_file(data_directory + "/current_logfiles"))) {
    if (!line.starts_with("stderr ")) continue;
    fs::path file = line.substr(7);
    return text_of_file(file.is_absolute() ? file.string()
                                           : data_directory + "/" + file.string());
  }
  return {};
}

}  // namespace

std::optional<int> major_version_in(std::string_view text) {
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  auto at = text.find(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  int major = 0;
  auto digits = text.substr(at + kBefore.size());
  auto result = std::from_chars(digits.data(), digits.data() + digits.size(), major);
  if (result.ec != std::errc{}) return std::nullopt;
  return major;
}

int major_version_of(const std::string& data_directory) {
  return static_cast<int>(std::strtol(text_of_file(data_directory + "/PG_VERSION").c_str(), nullptr, 10));
}

std::string find_binaries(const std::string& wanted, int major, const StopSource& stop) {
  std::vector<std::string> places{wanted};
  if (wanted.empty()) places = places_of_binaries(major);
  std::string found;
  std::set<std::string> seen;
  for (const auto& place : places) {
    if (place.empty() || !seen.insert(place).second) continue;
    if (access((place + "/pg_ctl").c_str(), X_OK) != 0 ||
        access((place + "/postgres").c_str(), X_OK) != 0)
      continue;
    std::string said = run_program({place + "/postgres", "--version"}, 10000, stop).output;
    auto version = major_version_in(said);
    if (version == major) return place;
    // A library that is missing, say.
    std::string reason = said.substr(0, said.find('\n'));
    found += found.empty() ? "" : ", ";
    found += version ? fmt::format("version {} in {}", *version, place)
                     : fmt::format("one in {} that does not run ({})", place,
                                   reason.empty() ? "it says nothing" : reason);
  }
  fail(Kind::kPreflight,
       fmt::format("--start needs the server's programs of PostgreSQL {}, and {}", major,
                   !found.empty()    ? "found " + found
                   : !wanted.empty() ? "there are none in " + wanted
                                     : std::string("found none")),
       fmt::format("Install PostgreSQL {} on this host, or name the directory of its pg_ctl with "
                   "--bindir; or leave --start out.",
                   major));
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view kHarmless = "_-./=:,+@%";
  auto is_harmless = [&](unsigned char letter) {
    return std::isalnum(letter) != 0 || kHarmless.find(static_cast<char>(letter)) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_harmless)) return text;
  std::string quoted = "'";
  for (char letter : text) {
    if (letter == '\'') quoted += "'\\'";
    quoted += letter;
  }
  return quoted + "'";
}

std::string reason_in(const std::string& log) {
  std::string reason;
  bool is_fatal = false;
  for (const auto& line : lines_of(log)) {
    auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    auto fatal = line.find("FATAL:  ");
    if (fatal == std::string::npos) fatal = line.find("PANIC:  ");
    if (fatal != std::string::npos) {
      reason = line.substr(fatal + 8);
      is_fatal = true;
    } else if (!is_fatal) {
      reason = line.substr(begin);
    }
  }
  return reason;
}

std::vector<std::string> Server::start_words() const {
  if (!options_.start_command.empty()) return {"/bin/sh", "-c", options_.start_command};
  // pg_ctl waits with us; the limit is ours.
  std::vector<std::string> words{options_.binaries + "/pg_ctl", "start", "-s", "-w",
                                 "-t", "1000000", "-D", options_.data_directory, "-l", log()};
  if (!options_.config_file.empty()) {
    words.push_back("-o");
    words.push_back("-c " + shell_word("config_file=" + options_.config_file));
  }
  return words;
}

std::string Server::how_to_start() const {
  if (!options_.start_command.empty()) return options_.start_command;
  std::string command = shell_word((options_.binaries.empty() ? "" : options_.binaries + "/") + "pg_ctl") + " -D " +
                        shell_word(options_.data_directory) + " start";
  // A shell of pg_ctl's reads it once more.
  if (!options_.config_file.empty())
    command += " -o " + shell_word("-c " + shell_word("config_file=" + options_.config_file));
  return command;
}

void Server::start() {
  std::error_code error;
  log_start_ = fs::exists(log(), error) ? fs::file_size(log(), error) : 0;
  process_ = std::make_unique<Process>(start_words(), log());
}

std::optional<RunningServer> Server::came_up() {
  auto code = process_->ended();
  if (!code) return std::nullopt;
  if (*code != 0)
    fail_start(options_.start_command.empty()
                   ? "did not start"
                   : fmt::format("did not start (the start command ended with exit code {})", *code));
  // A start command may start it where its processes cannot be seen, as in a container.
  auto server = options_.start_command.empty()
                    ? running_server(options_.data_directory)
                    : server_in_lock(text_of_file(options_.data_directory + "/postmaster.pid"));
  if (server) {
    absent_since_ = {};
    return server;
  }
  if (absent_since_ == Clock::time_point{}) absent_since_ = Clock::now();
  if (Clock::now() - absent_since_ > kAbsenceLimit || options_.start_command.empty())
    fail_start("was started, but runs no more");
  return std::nullopt;
}

void Server::leave() {
  if (process_) process_->terminate();
}

void Server::fail_start(const std::string& what) const {
  std::string words = last_words();
  std::string reason = reason_in(words);
  fail(Kind::kStartFailed,
       fmt::format("the server in \"{}\" {}{}", options_.data_directory, what,
                   reason.empty() ? "" : ": " + reason),
       words.empty() ? fmt::format("See its log, and \"{}\".", log())
                     : fmt::format("The last lines of its log ({}):\n{}", log(), words));
}

std::string Server::last_words() const {
  auto lines = lines_of(text_of_file(log(), log_start_));
  std::erase_if(lines, [](const std::string& line) {
    return line.starts_with("pg_ctl: could not start server") || line == "Examine the log output.";
  });
  for (auto& line : lines_of(collected_log(options_.data_directory))) lines.push_back(line);
  std::string words;
  for (std::size_t index = lines.size() > kLastLines ? lines.size() - kLastLines : 0;
       index < lines.size(); ++index)
    words += "  " + lines[index] + "\n";
  if (!words.empty()) words.pop_back();
  return words;
}

void Server::stop(const StopSource& stop) {
  Look look = look_at_directory(options_.data_directory);
  if (look.occupant == Occupant::kNobody) return;
  if (look.occupant != Occupant::kServer)
    throw refusal(options_.data_directory, look, {}).value();
  std::vector<std::string> words{options_.binaries + "/pg_ctl", "stop", "-s", "-w", "-m", "fast",
                                 "-t", std::to_string(options_.timeout_s > 0 ? options_.timeout_s : 1000000),
                                 "-D", options_.data_directory};
  if (!options_.stop_command.empty()) words = {"/bin/sh", "-c", options_.stop_command};
  int limit_ms = options_.timeout_s > 0 ? (options_.timeout_s + 10) * 1000 : INT32_MAX;
  Ended result = run_program(words, limit_ms, stop);
  // A stop command may return before the server has ended.
  auto deadline = Clock::now() + kAbsenceLimit;
  while (running_server(options_.data_directory)) {
    if (stop.requested()) fail(Kind::kCancelled, "stopped");
    if (result.code != 0 || Clock::now() > deadline)
      fail(Kind::kTargetRefused,
           fmt::format("the server in \"{}\" could not be stopped: {}", options_.data_directory,
                       reason_in(result.output)),
           "Stop it by hand, or correct --stop-command.");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace standby_clone
