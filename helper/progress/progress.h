// progress.h: what the user sees of a clone: a bar on a terminal, plain lines elsewhere,
// JSON objects on standard output if asked for. All but warn() belong to the main thread, which never
// waits for a terminal or a pipe.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>

#include "helper/base/failure.h"
#include "helper/base/stop.h"
#include "helper/progress/output.h"
#include "protocol/phase.h"

namespace standby_clone {

struct ProgressOptions {
  bool show_lines = false;  // periodic lines when not on a terminal
  bool verbose = false;
  bool json = false;
};

// How far it is. A copy, taken by the main thread.
struct Reading {
  protocol::Method method = protocol::Method::kFull;
  std::uint64_t bytes_done = 0, bytes_total = 0;
  std::uint64_t bytes_kept = 0;  // of bytes_done: were here already
  std::uint64_t bytes_wire = 0;
  std::uint64_t files_done = 0, files_total = 0;
  std::uint64_t wal_bytes = 0;
  unsigned streams = 0;
  bool is_paused = false;
};

struct Summary {
  std::int64_t id = 0;
  std::string directory, name, slot;
  protocol::Method method = protocol::Method::kFull;
  bool is_streaming = false;  // it was started, too
  std::string how_to_start;   // a command; empty: it needs a configuration of its own first
  std::uint64_t bytes = 0, kept = 0, wire = 0, files = 0, wal = 0;
  std::string start_lsn, stop_lsn;
};

class Progress {
 public:
  // With a stop nobody waits for a terminal or a reader that takes nothing, once it is requested.
  explicit Progress(const ProgressOptions& options, const StopSource* stop = nullptr);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void enter(protocol::Phase phase);
  // A few times a second; draws what is due.
  void tick(const Reading& reading);

  // One line for the user. Thread-safe.
  void note(const std::string& text);
  void warn(const std::string& text);
  void detail(const std::string& text);  // with --verbose only

  // A connection of the donor's is lost, and there again. The first one that is lost and the last
  // one that is back make a line; with JSON each does. Thread-safe.
  void lost(const std::string& connection, const std::string& why);
  void restored(const std::string& connection);

  // What fail() was told.
  const std::optional<Failure>& failure() const { return failure_; }

  void complete(const Summary& summary);
  // There was nothing to do.
  void complete_already(const std::string& directory, const std::string& name);
  void fail(const Failure& failure, const std::string& what_remains);
  // Until all that was said is written. Nothing may be said after it.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void show_pause(bool is_paused);
  void measure(const Reading& reading);
  void draw_bar(const Reading& reading);
  void print_line(const Reading& reading);
  void print_json(const Reading& reading);
  void put_json(const nlohmann::ordered_json& object);
  void put(const std::string& text);
  void say(const std::string& kind, const char* json_type, const std::string& text);
  double percent(const Reading& reading) const;

  const ProgressOptions options_;
  const bool on_terminal_;
  const StopSource* const stop_;
  Output output_;
  bool is_finished_ = false;
  std::mutex mutex_;  // guards what follows
  std::optional<Failure> failure_;
  protocol::Phase phase_ = protocol::Phase::kPreparing;
  Clock::time_point started_ = Clock::now();
  Clock::time_point phase_started_ = started_;
  Clock::time_point measured_ = started_;
  Clock::time_point drawn_{};
  std::set<std::string> lost_;
  Clock::time_point lost_since_{};
  Reading last_;
  double rate_ = 0, wire_rate_ = 0;  // bytes per second, smoothed
};

}  // namespace standby_clone
