// main.cpp: command line, signals, exit code.
#include <csignal>
#include <cstdio>
#include <ctime>
#include <unistd.h>

#include "helper/agent/agent.h"
#include "helper/base/failure.h"
#include "helper/base/message.h"
#include "helper/base/stop.h"
#include "helper/claim/status.h"
#include "helper/clone/clone.h"
#include "helper/connection/conninfo.h"
#include "helper/options/options.h"
#include "helper/preflight/preflight.h"
#include "helper/progress/progress.h"

namespace {

using namespace standby_clone;

StopSource* stop_on_signal = nullptr;

// One Ctrl-C, or one end of a session, may reach us twice: from the terminal, and from whoever started us.
constexpr long kOneSignalMs = 1000;
volatile std::sig_atomic_t first_signal_ms = 0;

long now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<long>(now.tv_sec % 1000000) * 1000 + now.tv_nsec / 1000000;
}

// The first one stops in order, a second one at once.
void on_signal(int signal) {
  if (!stop_on_signal->requested()) {
    first_signal_ms = static_cast<std::sig_atomic_t>(now_ms());
    return stop_on_signal->request(signal);
  }
  if (now_ms() - first_signal_ms > kOneSignalMs) _exit(exit_code(Kind::kCancelled));
}

void install_signals(StopSource& stop) {
  stop_on_signal = &stop;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // Who starts us with nohup, or in the background of a script, means it.
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
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
    take_environment();
    if (options.command == Command::kStatus) return run_status(options.data_directory, options.json);
    if (options.command == Command::kCheck) return run_check(options, stop);
    if (options.command == Command::kAgent) {
      // A daemon's SIGHUP asks for its settings to be read again, and an agent has none.
      std::signal(SIGHUP, SIG_IGN);
      return run_agent(options, stop);
    }
    Progress progress({options.progress, options.verbose, options.json}, &stop);
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
