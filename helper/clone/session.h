// session.h: this side of a session: the connections of one clone to one donor, and what
// the donor said about itself. Everything about reaching the donor is here.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "helper/base/stop.h"
#include "helper/clone/control.h"
#include "helper/connection/connection.h"
#include "helper/options/options.h"
#include "helper/progress/progress.h"
#include "helper/server/preflight.h"

namespace standby_clone {

// The main thread's, but for open_stream().
class Session {
 public:
  Session(const Options& options, Progress& progress, const StopSource& stop)
      : options_(options), progress_(progress), stop_(stop) {}

  // Reaches the donor, by the control and the WAL connection, and makes the checks before a
  // clone; nothing is begun yet.
  void connect();
  // Begins the clone; its backup starts while wait_until() waits for that.
  void begin();

  // Waits until `is_true`, keeping the lease with the heartbeats that `on_turn` sends.
  void wait_until(const std::function<bool()>& is_true, const std::function<void()>& on_turn) {
    control_->wait_until(is_true, on_turn);
  }

  // A connection that is welcomed as this stream. Any thread.
  std::unique_ptr<Connection> open_stream(std::uint16_t number) const;
  // The WAL connection that connect() made. None with -X none, or when it is taken.
  std::unique_ptr<Connection> take_wal_connection() { return std::move(wal_connection_); }

  bool is_connected() const { return control_ != nullptr; }
  Control& control() { return *control_; }
  const Control& control() const { return *control_; }
  const DonorFacts& donor() const { return donor_; }
  const SessionFacts& facts() const { return facts_; }
  std::uint16_t stream_count() const { return stream_count_; }
  // With --start: what the standby's settings must reach.
  const std::vector<HotSetting>& hot_settings() const { return hot_settings_; }
  // Whether pg_stat_replication has the standby's name; nothing if this role may not see that.
  std::optional<bool> standby_streams_by_name();
  // What primary_conninfo says.
  std::string standby_conninfo() const;
  std::uint64_t wire_bytes() const { return control_ ? control_->wire_bytes() : 0; }

 private:
  // What would stop the clone, before anything is written; warnings are shown.
  void check(const std::string& schema) const;

  const Options& options_;
  Progress& progress_;
  const StopSource& stop_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Connection> wal_connection_;
  std::unique_ptr<Control> control_;
  Address address_;
  std::string procedure_;
  DonorFacts donor_;
  SessionFacts facts_;
  std::uint16_t stream_count_ = 1;
  std::vector<HotSetting> hot_settings_;
  std::unique_ptr<Connection> watch_;  // for queries, when the others are in a copy
};

}  // namespace standby_clone
