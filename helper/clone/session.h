// session.h: this side of a session: the connections of one clone to one donor, what the
// donor said about itself, and how a lost connection is made again. Everything about reaching the
// donor is here.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "helper/base/backoff.h"
#include "helper/base/stop.h"
#include "helper/clone/control.h"
#include "helper/connection/connection.h"
#include "helper/disk/journal.h"
#include "helper/options/options.h"
#include "helper/preflight/findings.h"
#include "helper/progress/progress.h"
#include "helper/pulse/pulse.h"

namespace standby_clone {

// Host and directory, for people.
std::string destination_of(const Options& options);

// The donor of a session that was lost: whoever answers next must be it, or have taken its place.
struct Predecessor {
  DonorFacts donor;
  Address heir;  // who answered last, without knowing the clone; without a port: nobody did
  std::string password;  // typed in
};

// The main thread's, but for what says otherwise.
class Session {
 public:
  Session(const Options& options, Progress& progress, const StopSource& stop,
          const std::optional<Predecessor>& predecessor)
      : options_(options), progress_(progress), stop_(stop), predecessor_(predecessor) {}

  // Reaches the donor, by the control and the WAL connection, and makes the checks before a
  // clone; nothing is begun yet.
  void connect();
  // Begins the clone; its backup starts while wait_until() waits for that. With `replay_from` none does: the
  // WAL from there on is held.
  void begin(protocol::Method method, Lsn replay_from);
  // What it began with as changes; the donor hears of it with the next heartbeat.
  void compare_instead() { facts_.method = protocol::Method::kCompare; }
  // Instead of begin(): takes over the session of an earlier run, if the donor still has it, its
  // files are still being copied, and it was begun with the same wishes. Another one is ended:
  // nothing more can be read in it, or its standby would get another's name or slot.
  bool rejoin(const SessionRecord& earlier);
  std::string begun_with() const;  // nothing that a run could wish for, if nothing is copied

  // Waits until `is_true`, keeping the lease with the heartbeats that `on_turn` sends several
  // times a second. A lost control connection is made again meanwhile. Fails when the donor
  // has ended the clone, cannot be reached again in time, or on a stop.
  void wait_until(const std::function<bool()>& is_true, const std::function<void()>& on_turn);

  // Whatever wait_until() waits for may be true now. Any thread.
  void ring() noexcept { bell_.ring(); }

  // Tells the donor that the standby is there. False if it could not be told.
  bool report_completed(const std::function<void()>& on_turn);

  // A connection that is welcomed as this stream. Any thread.
  std::unique_ptr<Connection> open_stream(std::uint16_t number) const;
  // The WAL connection, proved to reach the same cluster and, once the clone has begun, the same server.
  // The WAL receiver's thread.
  std::unique_ptr<Connection> open_wal();
  std::int32_t wal_sender_pid() const { return wal_sender_pid_; }

  // A connection (control, stream N, WAL) breaks and is there again. Any thread.
  void lost(const std::string& name, const Failure& failure) {
    if (failure.kind == Kind::kDonorCrashed) has_crashed_ = true;
    progress_.lost(name, failure.message);
  }
  void restored(const std::string& name) { progress_.restored(name); }
  // A process of the donor's has crashed.
  bool has_crashed() const { return has_crashed_; }
  // How long to try, after begin().
  std::chrono::milliseconds patience() const { return patience_; }
  // The control connection was given up, because nothing came any more, after this time: whoever has
  // heard nothing since then is as badly off, also when that connection is there again. Any thread.
  bool fell_silent_after(std::chrono::steady_clock::time_point heard) const {
    return found_silent_.load() > heard;
  }

  // The donor is well: it answers each heartbeat on the control connection. Any thread.
  bool donor_answers() const {
    return std::chrono::steady_clock::now() - control_heard_.load() <
           std::chrono::milliseconds(protocol::kHeartbeatIntervalMs);
  }

  bool is_connected() const { return control_.is_attached(); }
  bool has_begun() const { return has_begun_; }
  // Is there something on the donor that it shall end? So is it with a Begin that it has not answered.
  bool has_asked() const { return has_asked_; }
  Predecessor as_predecessor() const;
  Control& control() { return control_; }
  const Control& control() const { return control_; }
  const DonorFacts& donor() const { return donor_; }
  Address address() const;  // of the donor, as it was reached. Any thread.
  const SessionFacts& facts() const { return facts_; }
  // As many as asked for; with --jobs=auto the most that the donor allows.
  std::uint16_t stream_count() const { return stream_count_; }
  // Whether pg_stat_replication has the standby's name; nothing if this role may not see that.
  std::optional<bool> standby_streams_by_name();
  // What primary_conninfo says.
  const std::string& standby_conninfo() const { return standby_conninfo_; }
  std::uint64_t wire_bytes() const { return control_.wire_bytes(); }

 private:
  // What would stop the clone, before anything is written; warnings are shown.
  void check(Connection& connection, const std::string& schema) const;
  void show(const Findings& findings) const;

  struct Reached {
    std::unique_ptr<Connection> connection;
    Address address;
  };

  std::unique_ptr<Connection> connect_to_donor() const;
  std::unique_ptr<Connection> connect_to_heir() const;
  void check_is_heir() const;
  std::unique_ptr<Connection> connect_again(const Address& where) const;
  void take_turn();
  void check_state() const;
  void start_pulse();
  void check_is_one_server() const;
  void note_forgotten(const Connection& connection) const;
  void prove_server(Connection& connection) const;
  void lose_control(const Failure& failure);
  Reached reach_again(Failure failure);
  Reached reach(const Address& address, bool is_same_place) const;
  Reached reach_anywhere() const;

  const Options& options_;
  Progress& progress_;
  const StopSource& stop_;
  const std::optional<Predecessor> predecessor_;
  Control control_{stop_};
  Bell bell_;
  std::unique_ptr<Connection> first_wal_connection_;  // until open_wal() takes it
  mutable std::mutex address_mutex_;
  Address address_;
  mutable Address heir_;
  std::vector<Address> choices_;
  std::string procedure_, server_start_;
  std::string standby_conninfo_;
  DonorFacts donor_;
  SessionFacts facts_;
  std::uint16_t stream_count_ = 1;
  std::unique_ptr<Connection> watch_;  // for queries, when the others are in a copy
  bool has_asked_ = false;
  bool replays_ = false;
  bool has_begun_ = false;
  std::chrono::milliseconds patience_{0};
  std::optional<Backoff> backoff_;  // of the control connection
  std::atomic<std::chrono::steady_clock::time_point> found_silent_{}, control_heard_{};
  std::atomic<std::int32_t> wal_sender_pid_{0};
  mutable std::atomic<bool> has_crashed_{false};
  std::optional<Pulse> pulse_;     // from the beginning on
  std::future<Reached> reaching_;  // last: its thread uses the others
};

}  // namespace standby_clone
