// preflight.cpp: asks the standby's own configuration through "postgres -C".
#include "helper/server/preflight.h"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr int kAskLimitMs = 30000;

std::string ask(const ServerOptions& server, const std::string& name, const StopSource& stop) {
  Ended answer = run_program({server.binaries + "/postgres", "-D", server.data_directory, "-C", name,
                              "-c", "config_file=" + server.config_file},
                             kAskLimitMs, stop);
  while (!answer.output.empty() && answer.output.back() == '\n') answer.output.pop_back();
  if (answer.code != 0)
    fail(Kind::kPreflight,
         fmt::format("the server cannot read configuration file \"{}\": {}", server.config_file,
                     reason_in(answer.output)),
         "Correct it, or name another with --config-file. The server says:\n" + answer.output);
  // Warnings come before the value.
  auto line = answer.output.rfind('\n');
  return line == std::string::npos ? answer.output : answer.output.substr(line + 1);
}

void check_data_directory(const ServerOptions& server, const StopSource& stop) {
  std::string directory = ask(server, "data_directory", stop);
  std::error_code error;
  if (std::filesystem::equivalent(directory, server.data_directory, error)) return;
  fail(Kind::kPreflight,
       fmt::format("configuration file \"{}\" is of a server in \"{}\", not in \"{}\"",
                   server.config_file, directory, server.data_directory),
       "Correct data_directory in it, or name another with --config-file.");
}

}  // namespace

void check_can_start(const ServerOptions& server, const std::vector<HotSetting>& donors,
                     const std::string& external_files, const StopSource& stop) {
  if (geteuid() == 0 && server.start_command.empty())
    fail(Kind::kPreflight, "the superuser \"root\" cannot start a PostgreSQL server",
         "Run the clone as the user the standby will run as, or leave --start out.");
  if (!external_files.empty() && server.config_file.empty() && server.start_command.empty())
    fail(Kind::kPreflight,
         "the donor's configuration lies outside its data directory and does not travel: the "
         "standby cannot be started without its own",
         "Make one on this host and name it with --config-file, or say with --start-command how to "
         "start the server (as with Debian's pg_ctlcluster). These do not travel:\n" +
             external_files);
  if (server.config_file.empty()) return;
  if (access(server.config_file.c_str(), R_OK) != 0)
    fail(Kind::kPreflight,
         fmt::format("configuration file \"{}\" cannot be read", server.config_file),
         "Correct --config-file.");
  check_data_directory(server, stop);
  auto low = settings_too_low(donors, [&](const std::string& name) {
    return std::strtoll(ask(server, name, stop).c_str(), nullptr, 10);
  });
  if (low.empty()) return;
  std::string all;
  for (const auto& setting : low) all += (all.empty() ? "" : ", ") + setting;
  fail(Kind::kPreflight,
       fmt::format("a standby does not start with settings lower than its donor's: {}", all),
       fmt::format("Raise them in \"{}\".", server.config_file));
}

}  // namespace standby_clone
