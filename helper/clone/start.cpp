// start.cpp: what counts as a started standby.
#include "helper/clone/start.h"

#include <fmt/format.h>

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kReady[] = "ready";

// Questions that cost the donor a query.
constexpr auto kAskInterval = std::chrono::seconds(1);

}  // namespace

ServerOptions server_options_of(const Options& options) {
  ServerOptions server;
  server.data_directory = options.data_directory;
  server.binaries = options.binaries;
  server.config_file = options.config_file;
  server.start_command = options.start_command;
  server.stop_command = options.stop_command;
  server.timeout_s = options.start_timeout_s;
  return server;
}

StandbyStart::StandbyStart(const Options& options, Progress& progress, const StopSource& stop)
    : options_(options), progress_(progress), stop_(stop), server_(server_options_of(options)) {}

void StandbyStart::find_programs(const Session& session) {
  ServerOptions server = server_.options();
  // An administrator's own command needs no program of ours.
  if (server.start_command.empty())
    server.binaries =
        find_binaries(server.binaries, session.donor().server_version / 10000, stop_);
  server_ = Server(server);
}

void StandbyStart::begin(Lsn must_replay) {
  must_replay_ = must_replay;
  began_ = Clock::now();
  server_.start();
}

bool StandbyStart::is_streaming(Session& session) {
  auto server = server_.came_up();
  if (server && is_seen(session, *server)) return true;
  check_time(server);
  return false;
}

// Consistent: the server says "ready" when it lets queries in; with hot_standby off it never
// does, but has replayed the end of the backup.
bool StandbyStart::is_seen(Session& session, const RunningServer& server) {
  const StatusFacts& status = session.control().status();
  bool is_consistent =
      server.status == kReady || (status.standby_replayed != 0 &&
                                  status.standby_replayed >= session.control().label()->stop_lsn);
  if (!is_consistent) return false;
  // With a slot the donor sees how far it is.
  if (!options_.slot.empty()) return status.standby_streams && status.standby_replayed >= must_replay_;
  if (Clock::now() - asked_ < kAskInterval) return false;
  asked_ = Clock::now();
  auto seen = session.standby_streams_by_name();
  if (!seen) {
    progress_.warn("the standby runs; whether it streams cannot be seen: that needs its slot, or "
                   "membership in pg_read_all_stats on the donor");
    return true;
  }
  return *seen;
}

void StandbyStart::check_time(const std::optional<RunningServer>& server) const {
  if (options_.start_timeout_s == 0 ||
      Clock::now() - began_ < std::chrono::seconds(options_.start_timeout_s))
    return;
  std::string words = server_.last_words();
  fail(Kind::kStartFailed,
       fmt::format("the standby in \"{}\" does not stream after {} s: {}", options_.data_directory,
                   options_.start_timeout_s,
                   !server                      ? "its server still starts"
                   : server->status != kReady   ? "it is not consistent yet"
                                                : "it runs, but the donor does not see it stream"),
       fmt::format("Its server has not been stopped. Raise --timeout if it needs longer; otherwise see "
                   "primary_conninfo and its log ({}):\n{}",
                   server_.log(), words));
}

void StandbyStart::start_alone() {
  ServerOptions server = server_.options();
  if (server.start_command.empty()) {
    server.binaries = find_binaries(server.binaries, major_version_of(server.data_directory), stop_);
    server_ = Server(server);
  }
  begin(0);
  while (true) {
    auto server = server_.came_up();
    if (server && server->status != "starting") return;
    check_time(server);
    wait_for(-1, 0, 100, stop_);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped");
  }
}

}  // namespace standby_clone
