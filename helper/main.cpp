// main.cpp: command line, signals, exit code.
#include <csignal>
#include <cstdio>
#include <unistd.h>

#include "helper/agent/agent.h"
#include "helper/base/failure.h"
#include "helper/base/message.h"
#include "helper/base/stop.h"
#include "helper/clone/clone.h"
#include "helper/options/options.h"
#include "helper/preflight/preflight.h"
#include "helper/progress/progress.h"

namespace {

using namespace standby_clone;

StopSource* stop_on_signal = nullptr;

// The first one stops in order, a second one at once.
void on_signal(int) {
  if (stop_on_signal->requested()) _exit(exit_code(Kind::kCancelled));
  stop_on_signal->request();
}

void install_signals(StopSource& stop) {
  stop_on_signal = &stop;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  Parsed parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  try {
    const Options& options = *parsed.options;
    StopSource stop;
    install_signals(stop);
    if (options.command == Command::kCheck) return run_check(options, stop);
    if (options.command == Command::kAgent) {
      // A daemon's SIGHUP asks for its settings to be read again, and an agent has none.
      std::signal(SIGHUP, SIG_IGN);
      return run_agent(options, stop);
    }
    Progress progress({options.progress, options.verbose, options.json});
    return run_clone(options, progress, stop);
  } catch (const Failure& failure) {
    std::fprintf(stderr, "pg_standby_clone: %s%s\n", label(Label::kError).c_str(),
                 failure.message.c_str());
    if (!failure.hint.empty())
      std::fprintf(stderr, "pg_standby_clone: %s%s\n", label(Label::kHint).c_str(),
                   failure.hint.c_str());
    return exit_code(failure.kind);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "pg_standby_clone: error: %s\n", failure.what());
    return exit_code(Kind::kInternal);
  }
}
