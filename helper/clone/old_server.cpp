// old_server.cpp: stopped late, started again early.
#include "helper/clone/old_server.h"

#include "helper/claim/look.h"
#include "helper/clone/start.h"

namespace standby_clone {

bool OldServer::is_to_be_stopped() const {
  return options_.manage_server &&
         look_at_directory(options_.data_directory).occupant == Occupant::kServer;
}

// By its own version's programs.
Server OldServer::server(const StopSource& stop) const {
  ServerOptions server = server_options_of(options_);
  if (server.stop_command.empty() || server.start_command.empty())
    server.binaries = find_binaries(server.binaries, major_version_of(options_.data_directory), stop);
  return Server(server);
}

void OldServer::check() {
  if (is_to_be_stopped()) server(stop_);
}

void OldServer::stop() {
  if (!is_to_be_stopped()) return;
  was_stopped_ = true;
  server(stop_).stop(stop_);
}

void OldServer::start_again() noexcept {
  if (!was_stopped_ || running_server(options_.data_directory)) return;
  try {
    progress_.note("starting the server again that was stopped for the clone");
    StopSource never;  // the clone's own has been asked to stop
    Server again = server(never);
    again.start();
    const int limit_s = options_.start_timeout_s;
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(limit_s);
    while (!again.came_up() && (limit_s == 0 || std::chrono::steady_clock::now() < deadline))
      wait_for(-1, 0, 100, never);
    again.leave();
  } catch (const std::exception& failure) {
    progress_.warn(failure.what());
  }
}

}  // namespace standby_clone
