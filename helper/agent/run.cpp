// run.cpp: what the host allows, then the very clone of the command.
#include "helper/agent/run.h"

#include <fmt/format.h>

#include "helper/claim/look.h"
#include "helper/clone/clone.h"
#include "helper/clone/on_end.h"
#include "helper/progress/progress.h"

namespace standby_clone {
namespace {

bool is_used(DirectoryState state) {
  return state != DirectoryState::kEmpty && state != DirectoryState::kUnfinishedClone;
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
  Progress progress({agent_.progress, agent_.verbose, agent_.json}, &stop_);
  try {
    check_allowed(agent_, request_);
    Options options = options_of(agent_, request_);
    if (run_clone(options, progress, stop_) != 0) failure_ = progress.failure();
  } catch (const Failure& failure) {
    run_on_end(agent_, {0, std::nullopt, failure}, progress);
    progress.fail(failure, "");
    failure_ = failure;
  } catch (const std::exception& failure) {
    failure_ = Failure(Kind::kInternal, failure.what());
    progress.fail(*failure_, "");
  }
}

}  // namespace standby_clone
