// on_end.cpp: the result as variables of another program.
#include "helper/clone/on_end.h"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>

#include "helper/server/process.h"

namespace standby_clone {
namespace {

constexpr int kLimitMs = 5 * 60 * 1000;

std::string last_line_of(std::string output) {
  while (!output.empty() && output.back() == '\n') output.pop_back();
  auto begin = output.rfind('\n');
  return begin == std::string::npos ? output : output.substr(begin + 1);
}

}  // namespace

void run_on_end(const Options& options, const Outcome& outcome, Progress& progress) {
  if (options.on_end.empty()) return;
  const auto& failure = outcome.failure;
  const char* state = !failure ? "completed" : failure->kind == Kind::kCancelled ? "cancelled" : "failed";
  std::string error = failure ? failure->message : "";
  std::replace(error.begin(), error.end(), '\0', ' ');
  std::vector<std::string> command{
      "env",
      fmt::format("CLONE_STATE={}", state),
      fmt::format("CLONE_EXIT_CODE={}", failure ? exit_code(failure->kind) : 0),
      fmt::format("CLONE_ID={}", outcome.id == 0 ? "" : std::to_string(outcome.id)),
      "CLONE_NAME=" + options.name,
      "CLONE_DIR=" + options.data_directory,
      fmt::format("CLONE_METHOD={}", outcome.method ? protocol::name_of(*outcome.method) : ""),
      "CLONE_ERROR=" + error,
      "sh", "-c", options.on_end};
  // The clone's own stop, which may be why it ended, does not end this.
  StopSource never;
  try {
    Ended ended = run_program(command, kLimitMs, never);
    if (ended.code != 0)
      progress.warn(fmt::format("the command of --on-end ended with exit code {}{}: {}", ended.code,
                                ended.code == 128 + SIGKILL ? ", perhaps after five minutes" : "",
                                last_line_of(ended.output)));
    else if (!ended.output.empty())
      progress.detail("the command of --on-end: " + last_line_of(ended.output));
  } catch (const Failure& cause) {
    progress.warn("the command of --on-end could not be run: " + cause.message);
  }
}

}  // namespace standby_clone
