// control.h: the control connection of a clone, used by the main thread alone: begins
// the clone, keeps its lease, hears how it goes, ends it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "helper/connection/connection.h"
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
  std::string external_files;
};

struct ProbeFacts {
  std::string found;         // where, empty: nowhere
  std::string control_file;  // the donor's
};

struct SessionFacts {
  protocol::Token token{};
  std::uint64_t hash_seed = 0;
  std::string temporary_slot;
};

struct StatusFacts {
  std::int64_t id = 0;
  protocol::State state = protocol::State::kRunning;
  protocol::Phase phase = protocol::Phase::kPreparing;
  bool handed_over = false;
  protocol::Lsn start_lsn = 0;
  std::uint32_t start_timeline = 0;
  std::string error;
  bool standby_streams = false;
  protocol::Lsn standby_replayed = 0;
};

struct LabelFacts {
  protocol::Lsn start_lsn = 0, stop_lsn = 0;
  std::uint32_t start_timeline = 0, stop_timeline = 0;
  std::string backup_label;
  std::string new_tablespaces;
};

// Leads a connection into the clone procedure and says Hello. Returns what the donor is.
DonorFacts enter(Connection& connection, const std::string& procedure,
                 const protocol::Token& token, std::uint16_t role, const StopSource& stop);

class Control {
 public:
  Control(Connection& connection, const StopSource& stop)
      : connection_(connection), stop_(stop) {}

  // Does the donor find the probe of this name under its own paths? Before begin().
  ProbeFacts probe(const std::string& name);
  SessionFacts begin(const protocol::Begin& request);
  FileList list();

  // Waits until `is_true`, handling what comes and calling `on_turn` several times a
  // second. Fails when the donor ends the clone, or on a stop.
  void wait_until(const std::function<bool()>& is_true, const std::function<void()>& on_turn);

  void beat(const protocol::Heartbeat& heartbeat);
  void request_end();
  void acknowledge_label();
  void acknowledge_pause();
  // Reports the end; waits a little for the donor to have heard it. Never fails.
  void report(protocol::State outcome, const std::string& error) noexcept;

  const StatusFacts& status() const { return status_; }
  const std::optional<LabelFacts>& label() const { return label_; }
  std::uint64_t wire_bytes() const { return wire_bytes_; }

  // What to tell when the donor has ended the clone.
  Failure ended_by_donor() const;
  // The donor's own reason, if it has one: asked for when a stream breaks.
  std::string reason_of_donor() noexcept;

 private:
  std::optional<Message> next(int timeout_ms);
  void handle(const Message& message);

  Connection& connection_;
  const StopSource& stop_;
  StatusFacts status_;
  std::optional<LabelFacts> label_;
  std::optional<SessionFacts> session_;
  std::optional<ProbeFacts> probe_;
  std::uint64_t wire_bytes_ = 0;
};

}  // namespace standby_clone
