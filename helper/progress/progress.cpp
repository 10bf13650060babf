// progress.cpp: drawing, with the rates smoothed over some seconds.
#include "helper/progress/progress.h"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "helper/base/message.h"
#include "helper/base/size.h"

namespace standby_clone {
namespace {

using protocol::Method;
using protocol::Phase;
using Json = nlohmann::ordered_json;

constexpr auto kBarInterval = std::chrono::milliseconds(200);
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr auto kJsonInterval = std::chrono::seconds(1);
constexpr double kSmoothingSeconds = 3;
// Who has stopped the program waits no longer for a terminal or a reader that takes nothing.
constexpr auto kStoppedPatience = std::chrono::seconds(2);
constexpr auto kFinishTurn = std::chrono::milliseconds(200);

const char* sentence_of(Phase phase) {
  switch (phase) {
    case Phase::kQueued: return "queued";
    case Phase::kPreparing: return "preparing";
    case Phase::kCheckpoint: return "waiting for the donor's checkpoint";
    case Phase::kCopying: return "copying files";
    case Phase::kWal: return "receiving WAL up to the end of the backup";
    case Phase::kSyncing: return "waiting until all is on disk";
    case Phase::kFinishing: return "setting up the standby";
    case Phase::kStarting: return "starting the standby";
    case Phase::kStreaming: return "streaming";
  }
  return "";
}

unsigned terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

// Where it is not a plain clone.
std::string prefix_of(Method method) {
  return method == Method::kFull ? "" : fmt::format("{}: ", protocol::name_of(method));
}

std::string words_of_kept(std::uint64_t bytes) {
  return bytes == 0 ? "" : fmt::format(" ({} kept)", human_size(bytes));
}

// Per second. A further session counts from nothing again.
double rate_of(std::uint64_t now, std::uint64_t before, double seconds) {
  return now > before ? static_cast<double>(now - before) / seconds : 0;
}

// Invalid UTF-8 (a file's name, say) must not stop a report.
std::string text_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Progress::Progress(const ProgressOptions& options, const StopSource* stop)
    : options_(options), on_terminal_(!options.json && isatty(STDERR_FILENO) == 1), stop_(stop) {}

void Progress::finish() {
  if (is_finished_) return;
  is_finished_ = true;
  auto began = Clock::now();
  while (!output_.is_written_within(kFinishTurn)) {
    bool is_stopped = stop_ != nullptr && stop_->requested();
    if (!is_stopped) began = Clock::now();
    if (Clock::now() - began >= kStoppedPatience) return output_.abandon();
  }
}

void Progress::put_json(const Json& object) { output_.line(STDOUT_FILENO, text_of(object) + "\n"); }

void Progress::put(const std::string& text) {
  output_.line(STDERR_FILENO, "pg_standby_clone: " + text + "\n");
}

void Progress::enter(Phase phase) {
  std::lock_guard lock(mutex_);
  if (phase == phase_ && phase != Phase::kPreparing) return;
  if (phase == Phase::kPreparing) lost_.clear();
  phase_ = phase;
  phase_started_ = Clock::now();
  drawn_ = {};
  if (options_.json)
    put_json({{"type", "phase"}, {"phase", protocol::name_of(phase)}});
  else if (!on_terminal_ || options_.verbose)
    put(sentence_of(phase));
}

void Progress::tick(const Reading& reading) {
  std::lock_guard lock(mutex_);
  if (reading.is_paused != last_.is_paused) show_pause(reading.is_paused);
  measure(reading);
  auto now = Clock::now();
  auto interval = options_.json ? Clock::duration(kJsonInterval)
                  : on_terminal_ ? Clock::duration(kBarInterval)
                                 : Clock::duration(kLineInterval);
  if (now - drawn_ < interval) return;
  drawn_ = now;
  if (options_.json)
    print_json(reading);
  else if (on_terminal_)
    draw_bar(reading);
  else if (options_.show_lines && phase_ == Phase::kCopying)
    print_line(reading);
}

void Progress::show_pause(bool is_paused) {
  last_.is_paused = is_paused;
  drawn_ = {};
  if (options_.json)
    put_json({{"type", "state"}, {"state", is_paused ? "paused" : "running"}});
  else if (!on_terminal_ || options_.verbose)
    put(is_paused ? "paused from the donor" : "goes on after a pause");
}

void Progress::measure(const Reading& reading) {
  auto now = Clock::now();
  double seconds = std::chrono::duration<double>(now - measured_).count();
  if (seconds < 0.1) return;
  double weight = 1 - std::exp(-seconds / kSmoothingSeconds);
  bool is_first = last_.bytes_done == 0;
  double rate = rate_of(reading.bytes_done, last_.bytes_done, seconds);
  double wire_rate = rate_of(reading.bytes_wire, last_.bytes_wire, seconds);
  rate_ = is_first ? rate : rate_ + weight * (rate - rate_);
  wire_rate_ = is_first ? wire_rate : wire_rate_ + weight * (wire_rate - wire_rate_);
  measured_ = now;
  last_ = reading;
}

double Progress::percent(const Reading& reading) const {
  if (reading.bytes_total == 0) return 0;
  double share = static_cast<double>(reading.bytes_done) / static_cast<double>(reading.bytes_total);
  return std::min(100.0, 100.0 * share);
}

void Progress::draw_bar(const Reading& reading) {
  unsigned width = terminal_width() - 1;
  std::string text;
  if (phase_ == Phase::kCopying && reading.bytes_total > 0) {
    std::string eta = rate_ > 0 && reading.bytes_total > reading.bytes_done
                          ? human_time(static_cast<std::uint64_t>(
                                static_cast<double>(reading.bytes_total - reading.bytes_done) / rate_))
                          : "-";
    std::string start = prefix_of(reading.method) + (reading.is_paused ? "paused " : "copying ");
    std::string numbers = fmt::format(
        " {:5.1f}% {} of {}{}  {}", percent(reading), human_size(reading.bytes_done),
        human_size(reading.bytes_total), words_of_kept(reading.bytes_kept),
        human_rate(static_cast<std::uint64_t>(rate_)));
    std::string wire = "  wire " + human_rate(static_cast<std::uint64_t>(wire_rate_));
    std::string streams = fmt::format("  {} streams", reading.streams);
    std::string left = "  ETA " + eta;
    if (!lost_.empty()) left += fmt::format("  {} CONNECTIONS LOST", lost_.size());
    // What is missed the least goes where there is no room for all.
    auto size = [&] { return start.size() + numbers.size() + wire.size() + streams.size() + left.size(); };
    for (std::string* spare : {&streams, &wire})
      if (size() > width) spare->clear();
    std::string tail = numbers + wire + streams + left;
    unsigned taken = static_cast<unsigned>(start.size() + tail.size()) + 2;
    unsigned room = width > taken + 4 ? std::min(width - taken, 40u) : 0;
    auto filled = static_cast<unsigned>(percent(reading) / 100 * room);
    std::string bar = room == 0 ? "" : "[" + std::string(filled, '#') + std::string(room - filled, '.') + "]";
    text = start + bar + tail;
  } else {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - phase_started_);
    text = fmt::format("{}{}{} ({}){}", prefix_of(reading.method), reading.is_paused ? "paused: " : "",
                       sentence_of(phase_),
                       human_time(static_cast<std::uint64_t>(seconds.count())),
                       lost_.empty() ? "" : "  CONNECTION LOST");
  }
  // A bar that wraps is never wiped.
  text.resize(std::min<std::size_t>(text.size(), width));
  output_.passing(STDERR_FILENO, text, true);
}

void Progress::print_line(const Reading& reading) {
  output_.passing(STDERR_FILENO,
                  fmt::format("pg_standby_clone: {:.1f}%, {} of {}{}, {}, wire {}\n", percent(reading),
                              human_size(reading.bytes_done), human_size(reading.bytes_total),
                              words_of_kept(reading.bytes_kept),
                              human_rate(static_cast<std::uint64_t>(rate_)),
                              human_rate(static_cast<std::uint64_t>(wire_rate_))),
                  false);
}

void Progress::print_json(const Reading& reading) {
  Json object{{"type", "progress"},
              {"phase", protocol::name_of(phase_)},
              {"state", reading.is_paused ? "paused" : "running"},
              {"method", protocol::name_of(reading.method)},
              {"bytes_done", reading.bytes_done},
              {"bytes_kept", reading.bytes_kept},
              {"bytes_total", reading.bytes_total},
              {"bytes_sent", reading.bytes_wire},
              {"files_done", reading.files_done},
              {"files_total", reading.files_total},
              {"wal_bytes", reading.wal_bytes},
              {"throughput", static_cast<std::uint64_t>(rate_)},
              {"streams", reading.streams},
              {"connections_lost", lost_.size()}};
  if (phase_ == Phase::kCopying && rate_ > 0 && reading.bytes_total > reading.bytes_done)
    object["eta_seconds"] = static_cast<std::uint64_t>(
        static_cast<double>(reading.bytes_total - reading.bytes_done) / rate_);
  output_.passing(STDOUT_FILENO, text_of(object) + "\n", false);
}

void Progress::say(const std::string& kind, const char* json_type, const std::string& text) {
  std::lock_guard lock(mutex_);
  if (options_.json) put_json({{"type", json_type}, {"message", text}});
  else put(kind + text);
}

void Progress::note(const std::string& text) { say("", "notice", text); }
void Progress::warn(const std::string& text) {
  say(label(Label::kWarning), "warning", text);
}


void Progress::detail(const std::string& text) {
  if (options_.verbose) say("", "detail", text);
}

void Progress::lost(const std::string& connection, const std::string& why) {
  bool is_first = false;
  {
    std::lock_guard lock(mutex_);
    is_first = lost_.empty();
    if (is_first) lost_since_ = Clock::now();
    lost_.insert(connection);
    drawn_ = {};
    if (options_.json)
      return put_json({{"type", "connection"},
                       {"connection", connection},
                       {"state", "lost"},
                       {"message", why}});
  }
  std::string text = fmt::format("lost a connection to the donor ({}): {}; trying to reach it again",
                                 connection, why);
  if (is_first)
    warn(text);
  else
    detail(text);
}

void Progress::restored(const std::string& connection) {
  double seconds = 0;
  bool is_last = false;
  {
    std::lock_guard lock(mutex_);
    lost_.erase(connection);
    is_last = lost_.empty();
    drawn_ = {};
    seconds = std::chrono::duration<double>(Clock::now() - lost_since_).count();
    if (options_.json)
      return put_json({{"type", "connection"},
                       {"connection", connection},
                       {"state", "restored"},
                       {"lost", lost_.size()}});
  }
  if (is_last)
    note(fmt::format("all connections to the donor are there again, after {:.1f} s", seconds));
  else
    detail(fmt::format("a connection to the donor is there again ({})", connection));
}

void Progress::complete(const Summary& summary) {
  std::lock_guard lock(mutex_);
  double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  if (options_.json) {
    Json object{{"type", "result"},
              {"state", "completed"},
              {"id", summary.id},
              {"directory", summary.directory},
              {"name", summary.name},
              {"slot", summary.slot.empty() ? Json(nullptr) : Json(summary.slot)},
              {"method", protocol::name_of(summary.method)},
              {"bytes", summary.bytes},
              {"bytes_kept", summary.kept},
              {"bytes_sent", summary.wire},
              {"files", summary.files},
              {"wal_bytes", summary.wal},
              {"start_lsn", summary.start_lsn},
              {"stop_lsn", summary.stop_lsn},
              {"seconds", std::round(seconds * 1000) / 1000}};
    if (summary.is_streaming) object["streaming"] = true;
    put_json(object);
    return;
  }
  auto rate = static_cast<std::uint64_t>(static_cast<double>(summary.bytes) / std::max(seconds, 0.001));
  if (summary.method == Method::kReplay)
    put(fmt::format("standby \"{}\" is complete after {:.1f} s: it replays the WAL it lacks, nothing was copied",
                    summary.name, seconds));
  else
    put(fmt::format("standby \"{}\" is complete: {} in {:.1f} s ({}), {} on the wire, {} of WAL",
                    summary.name, human_size(summary.bytes), seconds, human_rate(rate),
                    human_size(summary.wire), human_size(summary.wal)));
  if (summary.is_streaming) put("its server runs and streams");
  else if (summary.how_to_start.empty()) put("it has no configuration yet: the donor's lies outside its data directory");
  else put("start it with: " + summary.how_to_start);
}

void Progress::complete_already(const std::string& directory, const std::string& name) {
  std::lock_guard lock(mutex_);
  if (options_.json)
    return put_json({{"type", "result"}, {"state", "complete already"}, {"directory", directory}, {"name", name}});
  put(fmt::format("standby \"{}\" in \"{}\" is complete already: nothing was touched. --delta would bring it up to date", name, directory));
}

void Progress::fail(const Failure& failure, const std::string& what_remains) {
  std::lock_guard lock(mutex_);
  failure_ = failure;
  if (options_.json)
    put_json({{"type", "error"},
              {"class", name_of(failure.kind)},
              {"exit_code", exit_code(failure.kind)},
              {"message", failure.message},
              {"hint", failure.hint},
              {"remains", what_remains}});
  put(label(Label::kError) + failure.message);
  if (!failure.hint.empty()) put(label(Label::kHint) + failure.hint);
  if (!what_remains.empty()) put(what_remains);
}

}  // namespace standby_clone
