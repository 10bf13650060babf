// control.cpp: requests and answers of the control connection.
#include "helper/clone/control.h"

#include <algorithm>
#include <fmt/format.h>
#include <sstream>
#include <thread>

#include "helper/base/failure.h"
#include "helper/base/text.h"
#include "protocol/version.h"

namespace standby_clone {
namespace {

using protocol::FrameKind;

// The main thread's beats come more often.
constexpr std::chrono::seconds kRepeatAfter{2};

[[noreturn]] void distrust(const std::string& why) {
  fail(Kind::kCorrupted, "the donor's answer cannot be trusted: " + why,
       "Check that both hosts run the same pg_standby_clone.");
}

template <class Frame>
Frame decode_or_distrust(const Message& message) {
  Frame frame;
  if (!protocol::decode(message.bytes(), frame)) distrust("a frame is malformed");
  return frame;
}

FrameKind kind_of(const Message& message) {
  return protocol::kind_of<FrameKind>(message.bytes());
}

// A requested stop makes every poll() return at once; here the donor is waited for all the
// same, for a short time.
void pause_if(const StopSource& stop) {
  if (stop.requested()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

DonorFacts enter(Connection& connection, const std::string& procedure,
                 const protocol::Token& token, std::uint16_t role, const StopSource& stop) {
  connection.start_copy_both("CALL " + procedure, Kind::kPreflight);
  protocol::Hello hello;
  hello.protocol_version = protocol::kProtocolVersion;
  hello.role = role;
  hello.token = token;
  hello.backend_pid = connection.backend_pid();
  hello.helper_version = protocol::kVersion;
  connection.send_request(hello);
  std::optional<Message> message;
  auto deadline = std::chrono::steady_clock::now() + kAnswerLimit;
  try {
    while (!(message = connection.receive())) {
      if (stop.requested()) fail(Kind::kCancelled, "stopped");
      if (std::chrono::steady_clock::now() > deadline)
        fail(Kind::kLostDonor,
             fmt::format("the donor did not answer within {} s", kAnswerLimit.count()),
             "Check the network between the hosts.");
      if (connection.copy_ended()) distrust("it ended the copy at once");
      connection.wait(1000);
    }
  } catch (Failure& failure) {
    // What the donor refuses here, it refuses before anything is done; unless it speaks of a clone that runs.
    if (token == protocol::Token{} && failure.kind == Kind::kDonorFailed)
      failure.kind = Kind::kPreflight;
    throw;
  }
  auto welcome = decode_or_distrust<protocol::Welcome>(*message);
  if (welcome.protocol_version != protocol::kProtocolVersion)
    fail(Kind::kPreflight,
         fmt::format("this program speaks protocol version {}, the donor's extension {} speaks {}",
                     protocol::kProtocolVersion, welcome.extension_version,
                     welcome.protocol_version),
         "Install the same version of pg_standby_clone on both hosts.");
  if (welcome.backend_pid != connection.backend_pid())
    fail(Kind::kConnection, "a connection pooler stands between this host and the donor",
         "Connect to the donor itself.");
  DonorFacts facts;
  facts.server_version = static_cast<int>(welcome.server_version_num);
  facts.extension_version = welcome.extension_version;
  facts.system_identifier = welcome.system_identifier;
  facts.wal_segment_size = welcome.wal_segment_size;
  facts.directory_mode = welcome.directory_mode;
  facts.in_recovery = welcome.in_recovery != 0;
  facts.has_checksums = welcome.data_checksum_version != 0;
  facts.max_streams = welcome.max_streams;
  facts.timeline = welcome.timeline;
  facts.lease = std::chrono::milliseconds(welcome.lease_ms);
  facts.data_directory = welcome.data_directory;
  std::istringstream files{std::string(welcome.external_files)};
  for (std::string file; std::getline(files, file);) facts.external_files.push_back(file);
  std::uint32_t segment = facts.wal_segment_size;
  if (segment < (1u << 20) || segment > (1u << 30) || (segment & (segment - 1)) != 0)
    distrust("a WAL segment size that no server has");
  return facts;
}

ProbeFacts Control::probe(const std::string& name) {
  connection_->send_request(protocol::Probe{name});
  wait_for_answer([this] { return probe_.has_value(); });
  return *probe_;
}

DonorPast Control::survey(Lsn since) {
  past_.reset();
  connection_->send_request(protocol::Survey{since});
  wait_for_answer([this] { return past_.has_value(); });
  return *past_;
}

std::optional<WalHash> Control::hash_wal(Lsn from, Lsn to, std::uint64_t seed) {
  wal_hash_.reset();
  connection_->send_request(protocol::WalHash{from, to, seed});
  wait_for_answer([this] { return wal_hash_.has_value(); });
  return *wal_hash_;
}

void Control::wait_for_answer(const std::function<bool()>& is_there) {
  while (!is_there()) {
    if (!take_one()) connection_->wait(1000);
    if (stop_.requested()) fail(Kind::kCancelled, "stopped");
  }
}

void Control::attach(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  connection_ = std::move(connection);
  broken_.reset();
  has_answered_ = false;
  heard_ = Clock::now();
  if (wants_list_ && !whole_list_) {
    list_ = {};
    send(protocol::List{});
  }
  if (wants_changes_ && !whole_changes_) {
    changes_ = {};
    send(*wants_changes_);
  }
  if (wants_label_ && !label_) send(protocol::End{});
  if (wants_slot_ && !status_.handed_over) send(protocol::AckLabel{});
  if (outcome_) send_outcome();
}

std::unique_ptr<Connection> Control::release() {
  std::lock_guard lock(mutex_);
  return std::move(connection_);
}

void Control::detach() {
  std::lock_guard lock(mutex_);
  connection_.reset();
  broken_.reset();
}

// A connection that breaks while something is sent is found broken by the next turn().
template <class Request>
void Control::send(const Request& request) {
  std::lock_guard lock(mutex_);
  if (!is_attached() || broken_) return;
  try {
    connection_->send_request(request);
  } catch (const Failure& failure) {
    if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
    broken_ = failure;
  }
}

std::string Control::text_of(const std::string& bytes) const {
  return cut(is_attached() ? connection_->text_of(bytes) : readable(bytes), protocol::kTextMax - 1);
}

void Control::send_outcome() {
  protocol::Outcome request;
  request.state = *outcome_;
  std::string error = text_of(outcome_error_);
  request.error = error;
  send(request);
}

std::optional<SessionFacts> Control::inherit() {
  connection_->send_request(protocol::Inherit{});
  wait_for_answer([this] { return session_ || protocol::is_ended(status_.state) || is_silent(); });
  return session_;
}

SessionFacts Control::begin(const protocol::Begin& request) {
  connection_->send_request(request);
  try {
    wait_for_answer([this] { return session_.has_value(); });
  } catch (Failure& failure) {
    if (failure.kind == Kind::kDonorFailed) failure.kind = Kind::kPreflight;
    throw;
  }
  return *session_;
}

void Control::turn(int timeout_ms, Bell* bell) {
  std::lock_guard lock(mutex_);
  bool came = false;
  while (take_one()) came = true;
  if (broken_) throw Failure(*broken_);
  if (came || connection_->wait(timeout_ms, bell)) return;
  // Judged only when nothing waits to be read: this process may have been stopped for a while.
  if (is_silent())
    fail(Kind::kLostDonor,
         fmt::format("nothing was heard from the donor for {} s", protocol::kSilenceMs / 1000),
         "Check the network between the hosts.");
}

bool Control::is_silent() const {
  return Clock::now() - heard_ > std::chrono::milliseconds(protocol::kSilenceMs);
}

void Control::beat(const protocol::Heartbeat& heartbeat) {
  std::lock_guard lock(mutex_);
  last_beat_ = heartbeat;
  beaten_ = Clock::now();
  send(heartbeat);
}

void Control::repeat_beat() noexcept {
  std::lock_guard lock(mutex_);
  if (beaten_ == Clock::time_point{} || Clock::now() - beaten_ < kRepeatAfter) return;
  try {
    beat(last_beat_);
  } catch (const std::exception&) {
    // The main thread finds out when it is back.
  }
}

void Control::request_list() {
  wants_list_ = true;
  send(protocol::List{});
}

void Control::request_changes(Lsn since, std::uint64_t young_from) {
  wants_changes_ = {since, young_from};
  send(*wants_changes_);
}

void Control::request_end() {
  wants_label_ = true;
  send(protocol::End{});
}

void Control::acknowledge_pause() { send(protocol::PauseAck{}); }

void Control::acknowledge_label() {
  wants_slot_ = true;
  send(protocol::AckLabel{});
}

void Control::request_outcome(protocol::State outcome, const std::string& error) {
  outcome_ = outcome;
  outcome_error_ = error;
  send_outcome();
}

FileList Control::take_list() {
  wants_list_ = false;
  FileList list = std::move(*whole_list_);
  whole_list_.reset();
  return list;
}

ChangesFacts Control::take_changes() {
  wants_changes_.reset();
  ChangesFacts changes = std::move(*whole_changes_);
  whole_changes_.reset();
  return changes;
}

void Control::leave() noexcept {
  try {
    if (is_attached()) connection_->end_copy();
  } catch (const std::exception&) {
    // It has gone by itself.
  }
}

void Control::report(protocol::State outcome, const std::string& error) noexcept {
  try {
    std::lock_guard lock(mutex_);
    if (!is_attached() || protocol::is_ended(status_.state)) return;
    request_outcome(outcome, error);
    auto deadline = Clock::now() + std::chrono::seconds(5);
    // A stop is why we are here: it does not end this wait, the time does.
    while (!protocol::is_ended(status_.state) && Clock::now() < deadline) {
      if (take_one()) continue;
      connection_->wait(100);
      pause_if(stop_);
    }
    connection_->end_copy();
  } catch (const std::exception&) {
    // The donor is gone, or its lease will tell it.
  }
}

Failure Control::ended_by_donor() const {
  if (status_.lease_over) return Failure(Kind::kLeaseOver, status_.error);
  bool is_cancelled = status_.state == protocol::State::kCancelled;
  return Failure(is_cancelled ? Kind::kCancelled : Kind::kDonorFailed,
                 is_cancelled ? "the clone was cancelled on the donor: " + status_.error
                              : "the donor ended the clone: " + status_.error,
                 "See the donor's log; then run the clone again.");
}

std::string Control::reason_of_donor() noexcept {
  try {
    std::lock_guard lock(mutex_);
    auto deadline = Clock::now() + std::chrono::seconds(2);
    bool has_reason = false;
    while (is_attached() && !protocol::is_ended(status_.state) && Clock::now() < deadline) {
      // A reason may come a little before the end that says what it means.
      if (!status_.error.empty() && !has_reason) {
        has_reason = true;
        deadline = std::min(deadline, Clock::now() + std::chrono::milliseconds(500));
      }
      if (take_one()) continue;
      connection_->wait(100);
      pause_if(stop_);
    }
  } catch (const std::exception&) {
    // The connection is lost as well: the caller's own cause stands.
  }
  return status_.error;
}

// True if something had come.
bool Control::take_one() {
  auto message = connection_->receive();
  if (!message) {
    if (connection_->copy_ended()) distrust("it ended the control connection");
    return false;
  }
  heard_ = Clock::now();
  wire_bytes_ += message->bytes().size() + 5;
  handle(*message);
  return true;
}

void Control::handle(const Message& message) {
  switch (kind_of(message)) {
    case FrameKind::kBegun: {
      auto begun = decode_or_distrust<protocol::Begun>(message);
      session_ = SessionFacts{begun.token, begun.hash_seed, std::string(begun.temporary_slot)};
      return;
    }
    case FrameKind::kProbeResult: {
      auto result = decode_or_distrust<protocol::ProbeResult>(message);
      const auto* bytes = reinterpret_cast<const char*>(result.control_file.data());
      probe_ = ProbeFacts{std::string(result.found), {bytes, result.control_file.size()}};
      return;
    }
    case FrameKind::kSurveyResult: {
      auto result = decode_or_distrust<protocol::SurveyResult>(message);
      past_.emplace(DonorPast{result.flushed, result.has_wal != 0, result.timeline, std::string(result.history.text),
                              std::string(result.custom_managers)});
      return;
    }
    case FrameKind::kWalHashResult: {
      auto result = decode_or_distrust<protocol::WalHashResult>(message);
      wal_hash_.emplace(result.is_there != 0 ? std::optional(result.hash) : std::nullopt);
      return;
    }
    case FrameKind::kStatus: {
      auto status = decode_or_distrust<protocol::Status>(message);
      status_ = {status.id,
                 status.state,
                 status.phase,
                 status.handed_over != 0,
                 status.lease_over != 0,
                 status.start_lsn,
                 status.start_timeline,
                 std::string(status.error),
                 status.standby_streams != 0,
                 status.standby_replayed,
                 status.link_share,
                 status.disk_share,
                 status.cpu_share,
                 status.spare_streams,
                 status.method};
      has_answered_ = true;
      return;
    }
    case FrameKind::kEntries:
      if (!wants_list_ || whole_list_) distrust("a list nobody asked for");
      return list_.add_batch(decode_or_distrust<protocol::Entries>(message));
    case FrameKind::kListEnd:
      if (!wants_list_ || whole_list_) distrust("a list nobody asked for");
      list_.check_end(decode_or_distrust<protocol::ListEnd>(message));
      whole_list_ = std::move(list_);
      list_ = {};
      return;
    case FrameKind::kChanged:
      if (!wants_changes_ || whole_changes_) distrust("changes nobody asked for");
      return changes_.list.add(decode_or_distrust<protocol::Changed>(message));
    case FrameKind::kChangesEnd: {
      if (!wants_changes_ || whole_changes_) distrust("changes nobody asked for");
      auto end = decode_or_distrust<protocol::ChangesEnd>(message);
      changes_.is_whole = end.is_whole != 0;
      changes_.why_not = end.reason;
      changes_.all_databases_young = end.all_databases_young != 0;
      protocol::Reader read(end.young_databases);
      for (std::size_t left = end.young_databases.size() / 4; left > 0; --left) {
        std::uint32_t oid = 0;
        read(oid);
        changes_.young_databases.insert(oid);
      }
      if (changes_.is_whole && changes_.list.fork_count() != end.fork_count) distrust("changes of other forks than it counted");
      whole_changes_ = std::move(changes_);
      changes_ = {};
      return;
    }
    case FrameKind::kLabel: {
      auto label = decode_or_distrust<protocol::Label>(message);
      label_ = LabelFacts{label.start_lsn,
                          label.stop_lsn,
                          label.start_timeline,
                          label.stop_timeline,
                          std::string(label.backup_label.text),
                          std::string(label.new_tablespaces)};
      return;
    }
    default: distrust("an unexpected frame");
  }
}

}  // namespace standby_clone
