// start.h: --start: the server of a complete standby, started and watched until it streams. Used
// by the main thread of a clone alone.
#pragma once

#include <chrono>
#include <memory>

#include "helper/clone/session.h"
#include "helper/options/options.h"
#include "helper/progress/progress.h"
#include "helper/server/server.h"

namespace standby_clone {

class StandbyStart {
 public:
  StandbyStart(const Options& options, Progress& progress, const StopSource& stop);

  // Before anything is begun, when the donor is known: finds its version's programs. Fails with kPreflight.
  void find_programs(const Session& session);

  // `must_replay`: up to there, before it counts as started; 0: until it is consistent.
  void begin(Lsn must_replay);
  // True once the server is consistent and streams, as the donor sees it (through the clone's slot,
  // else by its name). Fails with kStartFailed, with the last lines of the log. Never waits long.
  bool is_streaming(Session& session);

  // For a directory that was complete before this run, without a donor: waits for the server alone.
  void start_alone();

  std::string how_to_start() const { return server_.how_to_start(); }

 private:
  bool is_seen(Session& session, const RunningServer& server);
  void check_time(const std::optional<RunningServer>& server) const;

  const Options& options_;
  Progress& progress_;
  const StopSource& stop_;
  Server server_;
  Lsn must_replay_ = 0;
  std::chrono::steady_clock::time_point began_{}, asked_{};
};

ServerOptions server_options_of(const Options& options);

}  // namespace standby_clone
