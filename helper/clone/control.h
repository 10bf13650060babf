// control.h: the control connection of a clone, used by the main thread: begins the clone, keeps its
// lease, hears how it goes, ends it. One more thread may only repeat heartbeats.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "helper/connection/connection.h"
#include "helper/delta/branch.h"
#include "helper/delta/change_list.h"
#include "helper/plan/file_list.h"
#include "protocol/frame.h"

namespace standby_clone {

// What Welcome said, kept.
struct DonorFacts {
  int server_version = 0;
  std::string extension_version;
  std::uint64_t system_identifier = 0;
  std::uint32_t wal_segment_size = 0;
  unsigned directory_mode = 0700;
  bool in_recovery = false;
  bool has_checksums = false;
  std::uint16_t max_streams = 1;
  std::uint32_t timeline = 0;
  std::chrono::milliseconds lease{0};
  std::string data_directory;
  std::vector<std::string> external_files;  // configuration that lies elsewhere
};

struct ProbeFacts {
  std::string found;         // where, empty: nowhere
  std::string control_file;  // the donor's
};

struct SessionFacts {
  protocol::Token token{};
  std::uint64_t hash_seed = 0;
  std::string temporary_slot;
  protocol::Method method = protocol::Method::kFull;
};

struct StatusFacts {
  std::int64_t id = 0;
  protocol::State state = protocol::State::kRunning;
  protocol::Phase phase = protocol::Phase::kPreparing;
  bool handed_over = false;
  bool lease_over = false;
  protocol::Lsn start_lsn = 0;
  std::uint32_t start_timeline = 0;
  std::string error;
  bool standby_streams = false;
  protocol::Lsn standby_replayed = 0;
  unsigned link_share = 0, disk_share = 0, cpu_share = 0;  // of its streams' time, in percent
  std::uint16_t spare_streams = 0;
  protocol::Method method = protocol::Method::kFull;
};

struct LabelFacts {
  protocol::Lsn start_lsn = 0, stop_lsn = 0;
  std::uint32_t start_timeline = 0, stop_timeline = 0;
  std::string backup_label;
  std::string new_tablespaces;
};

// Leads a connection, freed of its role's settings (trap 71), into the clone procedure and says Hello.
// Returns what the donor is.
DonorFacts enter(Connection& connection, const std::string& procedure,
                 const protocol::Token& token, std::uint16_t role, const StopSource& stop);

// What is asked for is asked again after each attach(), until it is answered: a lost
// connection loses nothing.
class Control {
 public:
  explicit Control(const StopSource& stop) : stop_(stop) {}

  // `connection` has been welcomed in role 0, the first time without a token.
  void attach(std::unique_ptr<Connection> connection);
  void detach();
  // Ends the conversation with a donor that has begun nothing.
  void leave() noexcept;
  std::unique_ptr<Connection> release();
  bool is_attached() const { return connection_ != nullptr; }
  // Has the donor answered since attach()?
  bool has_answered() const { return has_answered_; }

  // Does the donor find the probe of this name under its own paths? Before begin().
  ProbeFacts probe(const std::string& name);
  // What it has of the WAL from there on. Before begin(), as is hash_wal().
  DonorPast survey(Lsn since);
  std::optional<WalHash> hash_wal(Lsn from, Lsn to, std::uint64_t seed);
  SessionFacts begin(const protocol::Begin& request);
  // Goes on with the clone whose token the attached connection has said; nothing if nobody can.
  std::optional<SessionFacts> inherit();

  // Takes what has come, or waits a moment for something. Fails when the connection is lost, or
  // silent although the donor owes an answer to each heartbeat.
  void turn(int timeout_ms, Bell* bell = nullptr);
  bool is_silent() const;
  // When something came last, or attach() was called.
  std::chrono::steady_clock::time_point heard() const { return heard_; }

  void beat(const protocol::Heartbeat& heartbeat);
  // The last one once more, if it is long ago and the connection is there. Any thread.
  void repeat_beat() noexcept;
  void request_list();
  void request_changes(Lsn since, std::uint64_t young_from);
  void request_end();
  void acknowledge_label();
  void acknowledge_pause();
  void request_outcome(protocol::State outcome, const std::string& error);

  // As the donor can take it.
  std::string text_of(const std::string& bytes) const;

  // The last words of a clone that fails: waits a little for the donor to have heard it.
  void report(protocol::State outcome, const std::string& error) noexcept;

  const StatusFacts& status() const { return status_; }
  const std::optional<FileList>& list() const { return whole_list_; }
  FileList take_list();
  const std::optional<ChangesFacts>& changes() const { return whole_changes_; }
  ChangesFacts take_changes();
  const std::optional<LabelFacts>& label() const { return label_; }
  std::uint64_t wire_bytes() const { return wire_bytes_; }

  // What to tell when the donor has ended the clone.
  Failure ended_by_donor() const;
  // The donor's own reason, if it has one: asked for when a stream breaks.
  std::string reason_of_donor() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  bool take_one();
  void wait_for_answer(const std::function<bool()>& is_there);
  void handle(const Message& message);
  template <class Request>
  void send(const Request& request);
  void send_outcome();

  std::recursive_mutex mutex_;  // over each use of the connection; never kept for longer than a turn
  std::unique_ptr<Connection> connection_;
  const StopSource& stop_;
  protocol::Heartbeat last_beat_;
  Clock::time_point beaten_{};
  StatusFacts status_;
  FileList list_;  // as far as it has come
  std::optional<FileList> whole_list_;
  ChangesFacts changes_;  // as far as they have come
  std::optional<ChangesFacts> whole_changes_;
  std::optional<LabelFacts> label_;
  std::optional<SessionFacts> session_;
  std::optional<ProbeFacts> probe_;
  std::optional<DonorPast> past_;
  std::optional<std::optional<WalHash>> wal_hash_;
  bool wants_list_ = false, wants_label_ = false, wants_slot_ = false;
  std::optional<protocol::Changes> wants_changes_;
  std::optional<protocol::State> outcome_;
  std::string outcome_error_;
  std::uint64_t wire_bytes_ = 0;
  std::optional<Failure> broken_;
  bool has_answered_ = false;
  Clock::time_point heard_{};
};

}  // namespace standby_clone
