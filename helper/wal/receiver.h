// receiver.h: the WAL of the copy, on a connection and a thread of its own, so that
// keepalives are answered whatever the disks do (trap 66).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "helper/base/backoff.h"
#include "helper/base/first_failure.h"
#include "helper/base/lsn.h"
#include "helper/connection/connection.h"
#include "helper/disk/target.h"

namespace standby_clone {

struct WalStart {
  Lsn lsn = 0;
  Timeline timeline = 0;
  std::uint32_t segment_size = 0;
};

// Where its connections come from, and who hears of their loss. All in its thread.
struct WalSource {
  // A replication connection, proved to be one to the donor.
  std::function<std::unique_ptr<Connection>()> open;
  std::function<void(const Failure&)> lost;
  std::function<void()> restored;
  // Was the donor found silent after this time, by others?
  std::function<bool(std::chrono::steady_clock::time_point heard)> donor_fell_silent_after;
  std::function<void()> ended;  // with all WAL or without
  std::chrono::milliseconds patience{0};
  // A connection that is asked for an answer and silent for so long, while the donor answers
  // elsewhere, is given up; 0: never.
  std::chrono::milliseconds receive_timeout{0};
  std::function<bool()> donor_answers;
};

class WalReceiver {
 public:
  // pg_wal and pg_wal/archive_status are there already.
  WalReceiver(const WalSource& source, const WalStart& start, const Target& target,
              StopSource& stop, FirstFailure& failure);
  ~WalReceiver();  // stops the thread

  // Lets it end once WAL up to here has been received and is durable.
  void finish_at(Lsn stop_lsn);
  bool is_done() const { return done_.load(); }
  // The thread is at its end, with all WAL or without.
  bool has_ended() const { return ended_.load(); }

  Lsn durable_lsn() const { return durable_.load(); }
  std::uint64_t bytes_received() const { return received_.load(); }
  // Content of a timeline's history file; "" if it was not needed.
  std::string history(Timeline timeline) const;

 private:
  void run();
  void receive();
  void fetch_history(Timeline timeline);
  void stream();
  void follow_timeline();
  void handle(const Message& message);
  void write(Lsn at, protocol::Bytes bytes);
  void open_segment(Lsn at);
  void close_segment();
  void answer();
  bool has_all() const { return stop_lsn_.load() != 0 && at_ >= stop_lsn_.load(); }

  const WalSource source_;
  std::unique_ptr<Connection> connection_;
  const Target& target_;
  StopSource& stop_;
  FirstFailure& failure_;
  const std::uint32_t segment_size_;
  Timeline timeline_;
  Lsn at_;  // received up to here
  std::chrono::steady_clock::time_point heard_{};
  UniqueFd segment_;
  std::string segment_name_;
  mutable std::mutex history_mutex_;
  std::map<Timeline, std::string> histories_;
  std::atomic<Lsn> stop_lsn_{0};
  Bell bell_;  // rung when that is set
  std::atomic<Lsn> durable_{0};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<bool> done_{false}, ended_{false};
  std::thread thread_;
};

// Is this replication connection to the server we clone? kConnection if not.
void identify(Connection& connection, std::uint64_t system_identifier);
// What a replication connection leads to; 0: it does not say.
std::uint64_t system_identifier_of(Connection& connection);

}  // namespace standby_clone
