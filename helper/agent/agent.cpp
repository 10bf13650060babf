// agent.cpp: the story of an agent, in Agent::run(): one thread that waits on the primary's socket,
// and one more while a clone runs.
#include "helper/agent/agent.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>

#include "helper/agent/queue.h"
#include "helper/agent/run.h"
#include "helper/agent/service.h"
#include "helper/claim/look.h"
#include "helper/progress/progress.h"

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

// NOTIFY wakes the agent; it looks by itself so that nothing lost in between waits for ever.
constexpr auto kLookInterval = std::chrono::seconds(60);
// The end of a clone is nothing the socket tells.
constexpr int kTurnWhileCloningMs = 500;
// Between attempts to reach the primary.
constexpr auto kBackoffMin = std::chrono::milliseconds(500);
constexpr auto kBackoffMax = std::chrono::seconds(30);
// The same while a clone runs: on a new primary it waits for its agent before it goes on.
constexpr auto kBackoffMaxWhileCloning = std::chrono::seconds(2);
// The same trouble is told again after this time.
constexpr auto kTroubleInterval = std::chrono::minutes(10);
// A refusal at the beginning is believed after this time: the backend of an agent that was killed
// just before may keep its name a little longer.
constexpr auto kRefusalPatience = std::chrono::seconds(10);

// The journal takes lines; libpq's messages have several.
std::string in_one_line(const std::string& text) {
  std::string line;
  for (char letter : text) {
    bool is_space = letter == '\n' || letter == '\t';
    if (!is_space) line += letter;
    else if (!line.empty() && line.back() != ' ') line += ' ';
  }
  return line;
}

// For a primary that cannot read it: a file's name may have any bytes.
std::string in_ascii(const std::string& text) {
  std::string plain;
  for (unsigned char letter : text) {
    if (letter < 0x80) plain += static_cast<char>(letter);
    else plain += fmt::format("\\x{:02x}", letter);
  }
  return plain;
}

bool is_lost(const Failure& failure) {
  return failure.kind == Kind::kConnection || failure.kind == Kind::kLostDonor;
}

std::string text_of(const Failure& failure) {
  return failure.hint.empty() ? failure.message : failure.message + " (" + failure.hint + ")";
}

class Agent {
 public:
  Agent(const Options& options, StopSource& stop)
      : options_(options), stop_(stop), log_({false, options.verbose, options.json}, &stop),
        queue_(options, stop) {}

  int run();

 private:
  void serve();
  void enter();
  void settle();
  void take_turn();
  void wait();
  void look_after_run();
  void take_request();
  void report(const QueuedRequest& request, const Failure& failure);
  void show_directory();
  void bear(const Failure& failure);
  void wait_before_next_attempt();
  int end();

  const Options& options_;
  StopSource& stop_;
  Progress log_;
  RequestQueue queue_;
  std::unique_ptr<Run> run_;
  std::string ended_;  // the request carried out last: its uuid
  bool was_entered_ = false;
  Clock::time_point began_ = Clock::now();
  Clock::time_point looked_{};
  Clock::duration backoff_ = kBackoffMin;
  std::string trouble_;
  Clock::time_point trouble_told_{};
};

int Agent::run() {
  while (!stop_.requested()) {
    try {
      serve();
    } catch (const Failure& failure) {
      if (!stop_.requested()) bear(failure);
    }
  }
  return end();
}

void Agent::serve() {
  enter();
  take_turn();
  settle();
  while (!stop_.requested()) {
    wait();
    take_turn();
  }
}

void Agent::enter() {
  queue_.enter();
  looked_ = {};
  show_directory();
}

// The primary takes what this agent asks: only now is an earlier trouble over.
void Agent::settle() {
  std::string where = fmt::format("waiting for requests to \"{}\" from the primary at {}",
                                  options_.name, queue_.primary());
  log_.note(where);
  notify_service("READY=1\nSTATUS=" + where);
  was_entered_ = true;
  backoff_ = kBackoffMin;
  trouble_.clear();
}

void Agent::take_turn() {
  if (run_) look_after_run();
  if (!run_) take_request();
  if (Clock::now() - looked_ >= kLookInterval) show_directory();
}

void Agent::wait() {
  auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(looked_ + kLookInterval -
                                                                    Clock::now());
  int timeout_ms = static_cast<int>(std::clamp<std::int64_t>(rest.count(), 1, 60000));
  queue_.wait(run_ ? std::min(timeout_ms, kTurnWhileCloningMs) : timeout_ms);
}

// The session has told the primary how it ended, if it had begun; else the agent does.
void Agent::look_after_run() {
  if (!run_->is_done()) return;
  if (const auto& failure = run_->failure()) report({run_->id(), "", run_->uuid()}, *failure);
  ended_ = run_->uuid();
  log_.note(fmt::format("request {} has {}; waiting for the next", run_->id(),
                        run_->failure() ? "failed" : "been carried out"));
  run_.reset();
  notify_service("STATUS=waiting for requests");
  show_directory();
}

void Agent::take_request() {
  auto queued = queue_.next();
  // The primary may not have heard yet how the last one ended.
  if (!queued || queued->uuid == ended_) return;
  log_.note(fmt::format("carrying out request {}: {}", queued->id, queued->options));
  try {
    Request request = parse_request(queued->id, queued->options);
    request.uuid = queued->uuid;
    run_ = std::make_unique<Run>(options_, request);
  } catch (const Failure& failure) {
    log_.warn(failure.message);
    ended_ = queued->uuid;
    return report(*queued, failure);
  }
  notify_service(fmt::format("STATUS=carrying out request {}", queued->id));
  show_directory();
}

// Once. A primary that is away is told when it is back; one that does not take it, or knows nothing of the
// request (it has failed over, or its history is short), is not asked again.
void Agent::report(const QueuedRequest& request, const Failure& failure) {
  std::string refusal;
  for (const std::string& error : {text_of(failure), in_ascii(text_of(failure))}) {
    try {
      if (!queue_.refuse(request.id, request.uuid, error))
        log_.note(fmt::format("the primary knows nothing of request {} any more", request.id));
      return;
    } catch (const Failure& refused) {
      if (is_lost(refused)) throw;
      refusal = in_one_line(refused.message);
    }
  }
  log_.warn(fmt::format("the primary does not take the end of request {}: {}", request.id, refusal));
}

void Agent::show_directory() {
  if (run_)
    queue_.show("being cloned", fmt::format("carrying out request {}", run_->id()));
  else
    queue_.show(name_of(state_of_directory(options_.data_directory, queue_.system_identifier())),
                "waiting for requests");
  looked_ = Clock::now();
}

// The primary is away, or refuses: for an agent that has waited before, no reason to end.
void Agent::bear(const Failure& failure) {
  queue_.leave();
  bool is_refused = !is_lost(failure);
  if (is_refused && !was_entered_ && Clock::now() - began_ > kRefusalPatience) throw Failure(failure);
  if (failure.kind == Kind::kUsage) throw Failure(failure);
  auto now = Clock::now();
  std::string message = in_one_line(failure.message);
  if (message != trouble_ || now - trouble_told_ > kTroubleInterval) {
    trouble_ = message;
    trouble_told_ = now;
    log_.warn(message + "; trying again");
    if (!failure.hint.empty()) log_.note("hint: " + in_one_line(failure.hint));
  }
  // Whoever waits for the unit to start needs no primary for that.
  notify_service((is_refused ? "STATUS=" : "READY=1\nSTATUS=") + ("no primary: " + message));
  wait_before_next_attempt();
}

void Agent::wait_before_next_attempt() {
  auto until = Clock::now() + backoff_;
  backoff_ = std::min<Clock::duration>(backoff_ * 2, run_ ? kBackoffMaxWhileCloning : kBackoffMax);
  while (!stop_.requested() && Clock::now() < until) wait_for(-1, 0, 250, stop_);
}

int Agent::end() {
  notify_service("STOPPING=1");
  bool ends_a_clone = run_ && !run_->is_done();
  if (ends_a_clone) log_.note(fmt::format("cancelling request {}", run_->id()));
  run_.reset();
  log_.note("the agent ends");
  return ends_a_clone ? exit_code(Kind::kCancelled) : 0;
}

}  // namespace

int run_agent(const Options& options, StopSource& stop) { return Agent(options, stop).run(); }

}  // namespace standby_clone
