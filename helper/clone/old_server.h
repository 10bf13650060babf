// old_server.h: the server of a used directory, where it may be stopped for a clone (--manage-server).
#pragma once

#include <optional>

#include "helper/options/options.h"
#include "helper/progress/progress.h"
#include "helper/server/server.h"

namespace standby_clone {

class OldServer {
 public:
  OldServer(const Options& options, Progress& progress, const StopSource& stop)
      : options_(options), progress_(progress), stop_(stop) {}

  // Its programs are there; what stop() needs. Fails with kPreflight.
  void check();
  // If one runs, and it may be stopped. Fails with kTargetRefused.
  void stop();
  // A clone that was refused before it changed anything must not cost a server that ran.
  void start_again() noexcept;

 private:
  bool is_to_be_stopped() const;
  Server server(const StopSource& stop) const;

  const Options& options_;
  Progress& progress_;
  const StopSource& stop_;
  bool was_stopped_ = false;
};

}  // namespace standby_clone
