// server.h: the standby's server: is one running in a directory, start it, stop it, and why did it
// not start. Commands of this host's administrator run as they are given.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "helper/base/stop.h"
#include "helper/claim/look.h"
#include "helper/server/process.h"

namespace standby_clone {

struct ServerOptions {
  std::string data_directory;
  std::string binaries;       // where pg_ctl and postgres are; found by find_binaries()
  std::string config_file;    // empty: postgresql.conf in the data directory
  std::string start_command;  // for the shell; empty: pg_ctl
  std::string stop_command;   // for the shell; empty: pg_ctl
  int timeout_s = 600;        // 0: no limit
};

// What "--version" of a server's program prints: its major version.
std::optional<int> major_version_in(std::string_view text);

// The major version in PG_VERSION of a data directory; 0: none.
int major_version_of(const std::string& data_directory);

// The directory with pg_ctl and postgres of this major version: `wanted` (--bindir) alone if that
// is not empty; else where this program is, where it was built for, Debian's place, PATH. Fails
// with kPreflight, naming what was found instead.
std::string find_binaries(const std::string& wanted, int major, const StopSource& stop);

// Where the output of the server's start goes. Its prefix keeps it out of clones of this standby.
inline constexpr char kStartLog[] = "pg_standby_clone.start.log";

class Server {
 public:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}

  // Begins to start it; came_up() then tells how it goes.
  void start();
  // Fails with kStartFailed, with the last lines of the log, when it did not start, or has ended
  // again. Never waits.
  std::optional<RunningServer> came_up();
  // Ends the waiting of the start; the server itself goes on.
  void leave();

  // Stops the server that works in the directory, if one does, and waits until it has ended. Fails with
  // kTargetRefused, also where that cannot be told: a signal is for no other process.
  void stop(const StopSource& stop);

  std::string how_to_start() const;
  std::string log() const { return options_.data_directory + "/" + kStartLog; }
  const ServerOptions& options() const { return options_; }

  // The last lines of what the server has said since start().
  std::string last_words() const;

 private:
  [[noreturn]] void fail_start(const std::string& what) const;
  std::vector<std::string> start_words() const;

  ServerOptions options_;
  std::unique_ptr<Process> process_;
  std::uintmax_t log_start_ = 0;
  std::chrono::steady_clock::time_point absent_since_{};
};

// The line of a server's log that says why it ended: the last FATAL or PANIC, else the last line.
std::string reason_in(const std::string& log);

// `text` as one word of the shell's, without quotes where it is one anyway.
std::string shell_word(const std::string& text);

}  // namespace standby_clone
