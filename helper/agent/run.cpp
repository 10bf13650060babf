// run.cpp: what the host allows, the server out of the way, then the very clone of the command.
#include "helper/agent/run.h"

#include <fmt/format.h>

#include "helper/agent/directory.h"
#include "helper/clone/clone.h"
#include "helper/clone/start.h"
#include "helper/progress/progress.h"
#include "helper/server/server.h"

namespace standby_clone {
namespace {

bool is_used(DirectoryState state) {
  return state != DirectoryState::kEmpty && state != DirectoryState::kUnfinishedClone;
}

// The server of the directory, by its own version's programs.
Server server_in(const Options& options, const StopSource& stop) {
  ServerOptions server = server_options_of(options);
  if (server.stop_command.empty() || server.start_command.empty())
    server.binaries = find_binaries(server.binaries, major_version_of(options.data_directory), stop);
  return Server(server);
}

}  // namespace

void check_allowed(const Options& agent, const Request& request) {
  const std::string& directory = agent.data_directory;
  DirectoryState state = state_of_directory(directory, 0);
  if (!is_used(state)) return;
  if (!request.delta)
    fail(Kind::kTargetRefused,
         fmt::format("the agent's directory \"{}\" is not empty ({})", directory, name_of(state)),
         "Ask with {\"delta\": true} to bring it up to date in place, which its agent must allow "
         "(--allow-overwrite); or empty it on that host.");
  if (!agent.allow_overwrite)
    fail(Kind::kTargetRefused,
         fmt::format("the agent in \"{}\" does not allow a used directory ({}) to be overwritten",
                     directory, name_of(state)),
         "Start that agent with --allow-overwrite.");
  if (running_server(directory) && !agent.manage_server)
    fail(Kind::kTargetRefused,
         fmt::format("a server runs in \"{}\", and its agent may not stop it", directory),
         "Stop that server, or start the agent with --manage-server.");
}

Run::Run(const Options& agent, const Request& request) : agent_(agent), request_(request) {
  thread_ = std::thread([this] {
    carry_out();
    is_done_ = true;
  });
}

Run::~Run() {
  cancel();
  thread_.join();
}

void Run::carry_out() {
  Progress progress({agent_.progress, agent_.verbose, agent_.json});
  bool made_way = false;
  try {
    check_allowed(agent_, request_);
    Options options = options_of(agent_, request_);
    made_way = make_way();
    if (run_clone(options, progress, stop_) != 0) failure_ = progress.failure();
  } catch (const Failure& failure) {
    progress.fail(failure, "");
    failure_ = failure;
  } catch (const std::exception& failure) {
    failure_ = Failure(Kind::kInternal, failure.what());
    progress.fail(*failure_, "");
  }
  // A clone that was refused before it touched anything must not cost a standby that ran.
  if (!failure_ || !made_way ||
      state_of_directory(agent_.data_directory, 0) != DirectoryState::kStoppedStandby)
    return;
  try {
    progress.note("starting the server again that was stopped for the clone");
    StopSource never;
    Server server = server_in(agent_, never);
    server.start();
    while (!server.came_up()) wait_for(-1, 0, 100, never);
  } catch (const Failure& failure) {
    progress.warn(failure.message);
  }
}

// True if a server was stopped.
bool Run::make_way() {
  if (!running_server(agent_.data_directory)) return false;
  server_in(agent_, stop_).stop(stop_);
  return true;
}

}  // namespace standby_clone
