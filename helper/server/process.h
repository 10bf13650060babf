// process.h: another program, run beside us: its output goes to a file, its terminal and our
// signals do not reach it.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "helper/base/stop.h"

namespace standby_clone {

class Process {
 public:
  // Starts `command` (found by PATH where it has no '/'), its output appended to `output`.
  // Fails with kStartFailed if it cannot be started.
  Process(const std::vector<std::string>& command, const std::string& output);
  // A program that still runs is left running.
  ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Its exit code once it has ended (128 + signal for one that was killed). Never waits.
  std::optional<int> ended();
  void terminate();

 private:
  pid_t pid_ = -1;
  std::optional<int> code_;
};

struct Ended {
  int code = 0;
  std::string output;  // both kinds, as they came
};

// Runs `command` to its end; kills it after `timeout_ms`, or on a stop.
Ended run_program(const std::vector<std::string>& command, int timeout_ms, const StopSource& stop);

}  // namespace standby_clone
