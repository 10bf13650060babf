// session.cpp: reaching the donor.
#include "helper/clone/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include "helper/base/host_name.h"
#include "helper/preflight/donor.h"
#include "helper/preflight/preflight.h"
#include "helper/wal/receiver.h"
#include "protocol/request.h"

namespace standby_clone {
namespace {

// kConnection, since the right one may answer later.
void check_same_cluster(const DonorFacts& found, const DonorFacts& donor) {
  if (found.system_identifier != donor.system_identifier)
    fail(Kind::kConnection, "a server of another cluster answers in the donor's place",
         "Check host and port of the donor.");
}

}  // namespace

std::string destination_of(const Options& options) {
  return host_name() + ":" + options.data_directory;
}

// In a lost donor's place a standby of its own list of hosts answers, too, before one is promoted.
std::unique_ptr<Connection> Session::connect_to_donor() const {
  Donor donor = donor_of(options_);
  if (!predecessor_) return std::make_unique<Connection>(donor, Purpose::kDatabase, nullptr, stop_);
  if (auto heir = connect_to_heir()) return heir;
  if (!predecessor_->donor.in_recovery) donor.primary_only = true;
  Address anywhere;
  anywhere.password = predecessor_->password;
  return std::make_unique<Connection>(donor, Purpose::kDatabase, &anywhere, stop_);
}

// Not by way of hosts that were silent a moment ago.
std::unique_ptr<Connection> Session::connect_to_heir() const {
  if (predecessor_->heir.port.empty()) return nullptr;
  try {
    auto connection = std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase,
                                                   &predecessor_->heir, stop_);
    if (predecessor_->donor.in_recovery || !connection->in_recovery()) return connection;
  } catch (const Failure& failure) {
    if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
  }
  return nullptr;
}

Predecessor Session::as_predecessor() const {
  std::lock_guard lock(address_mutex_);
  return {donor_, heir_, address_.password};
}

void Session::check_is_heir() const {
  if (!predecessor_) return;
  check_same_cluster(donor_, predecessor_->donor);
  if (donor_.timeline < predecessor_->donor.timeline)
    fail(Kind::kConnection,
         fmt::format("the server that answers in the donor's place is on timeline {}, the donor was on "
                     "{}: it missed a failover",
                     donor_.timeline, predecessor_->donor.timeline),
         "Name the current primary.");
}

// After the first connection, which find_extension() has freed of its role's settings.
std::unique_ptr<Connection> Session::connect_again(const Address& where) const {
  auto connection =
      std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, &where, stop_);
  connection->ignore_role_settings();
  return connection;
}

void Session::connect() {
  auto connection = connect_to_donor();
  address_ = connection->address();
  choices_ = connection->choices();
  std::string schema = find_extension(*connection);
  server_start_ = connection->server_start();
  check(*connection, schema);
  procedure_ = schema + ".pg_standby_clone_stream()";
  donor_ = enter(*connection, procedure_, {}, 0, stop_);
  check_is_heir();
  standby_conninfo_ = standby_conninfo_by(options_, *connection);
  patience_ = options_.reconnect_timeout ? *options_.reconnect_timeout : donor_.lease;
  backoff_.emplace(patience_, stop_);
  control_.attach(std::move(connection));
  // Before anything is begun, and as the standby will connect: this shows whether it will be let in.
  Findings findings;
  first_wal_connection_ =
      connect_as_standby(options_, standby_conninfo_, address_, donor_.system_identifier, stop_, findings);
  if (first_wal_connection_ && options_.stream_wal) wal_sender_pid_ = first_wal_connection_->backend_pid();
  if (!first_wal_connection_) first_wal_connection_ = open_wal();
  show(findings);
  if (!options_.stream_wal) first_wal_connection_.reset();

  stream_count_ = options_.jobs == 0 ? donor_.max_streams : std::min(options_.jobs, donor_.max_streams);
  if (stream_count_ < options_.jobs)
    progress_.note(fmt::format("the donor allows {} streams (pg_standby_clone.max_streams)",
                               stream_count_));
  if (options_.verify_checksums && !donor_.has_checksums)
    progress_.detail("the donor has no page checksums to verify");
}

void Session::check(Connection& connection, const std::string& schema) const {
  show(check_donor(options_, connection, schema, stop_));
}

void Session::show(const Findings& findings) const {
  for (const auto& finding : findings.all())
    if (finding.verdict == Verdict::kWarning)
      progress_.warn(finding.hint.empty() ? finding.detail : finding.detail + "\n" + finding.hint);
  findings.stop_on_error();
}

void Session::begin(protocol::Method method, Lsn replay_from) {
  has_asked_ = true;
  replays_ = replay_from != 0;
  protocol::Begin request;
  std::string destination = control_.text_of(destination_of(options_));
  std::string label = control_.text_of(options_.label);
  request.request_id = options_.request_id;
  request.request_uuid = options_.request_uuid;
  request.target = options_.name;
  request.destination = destination;
  request.slot_name = options_.slot;
  request.label = label;
  request.slot_given = options_.create_slot ? 2 : options_.slot_given;
  request.fast_checkpoint = options_.fast_checkpoint;
  request.verify_checksums = options_.verify_checksums;
  request.advance_slot = options_.stream_wal;
  request.compression = options_.compression;
  request.compression_level = options_.compression_level;
  request.streams = options_.jobs == 0 ? 1 : stream_count_;  // as they come
  request.max_rate = options_.max_rate;
  request.gentle = options_.gentle;
  request.wal_sender_pid = wal_sender_pid_;
  request.replay_from = replay_from;
  request.method = method;
  facts_ = control_.begin(request);
  facts_.method = method;
  has_begun_ = true;
  start_pulse();
}

void Session::start_pulse() {
  pulse_.emplace(std::chrono::milliseconds(protocol::kHeartbeatIntervalMs / 5),
                 [this] { control_.repeat_beat(); });
}

// What the donor took from Begin and keeps to: the heir of a session must want the same.
std::string Session::begun_with() const {
  if (replays_) return "replay";
  return fmt::format("{}\n{}\n{} {} {} {}", options_.name, options_.slot, options_.slot_given,
                     options_.verify_checksums, options_.stream_wal, options_.gentle);
}

bool Session::rejoin(const SessionRecord& earlier) {
  Control heir(stop_);
  std::optional<SessionFacts> inherited;
  try {
    auto connection = connect_again(address());
    enter(*connection, procedure_, earlier.token, 0, stop_);
    heir.attach(std::move(connection));
    if (earlier.begun_with == begun_with()) inherited = heir.inherit();
  } catch (const Failure& failure) {
    // It has ended; whatever else is wrong shows when another one begins.
    if (stop_.requested()) throw;
    progress_.detail("the earlier session cannot be gone on with: " + failure.message);
    return false;
  }
  if (!inherited) {
    heir.report(protocol::State::kFailed, protocol::kHelperStartedAgain);
    return false;
  }
  control_.attach(heir.release());
  facts_ = *inherited;
  facts_.method = heir.status().method;
  if (facts_.method == protocol::Method::kChanges) compare_instead();
  has_asked_ = has_begun_ = true;
  start_pulse();
  return true;
}

void Session::wait_until(const std::function<bool()>& is_true,
                         const std::function<void()>& on_turn) {
  while (true) {
    on_turn();
    if (stop_.requested()) fail(Kind::kCancelled, "stopped");
    if (is_true()) return;
    take_turn();
    check_state();
  }
}

bool Session::report_completed(const std::function<void()>& on_turn) {
  control_.request_outcome(protocol::State::kCompleted, "");
  auto is_heard = [&] { return control_.status().state == protocol::State::kCompleted; };
  try {
    wait_until(is_heard, on_turn);
    return true;
  } catch (const Failure&) {
    // The standby is complete whatever the donor knows of it.
    return false;
  }
}

// --- the control connection --------------------------------------------------------

void Session::take_turn() {
  constexpr int kTurnMs = 100;
  if (control_.is_attached()) {
    try {
      control_.turn(kTurnMs, &bell_);
      if (control_.has_answered()) {
        backoff_->worked();
        control_heard_ = control_.heard();
      }
      return;
    } catch (const Failure& failure) {
      if (!has_begun_ || remedy_of(failure.kind) != Remedy::kReconnect) throw;
      lose_control(failure);
    }
  }
  if (reaching_.wait_for(std::chrono::milliseconds(kTurnMs)) != std::future_status::ready) return;
  Reached reached = reaching_.get();
  {
    std::lock_guard lock(address_mutex_);
    address_ = reached.address;
  }
  control_.attach(std::move(reached.connection));
  restored("control");
}

void Session::check_state() const {
  const StatusFacts& status = control_.status();
  if (!protocol::is_ended(status.state) || status.state == protocol::State::kCompleted) return;
  throw control_.ended_by_donor();
}

void Session::lose_control(const Failure& failure) {
  if (control_.is_silent()) found_silent_ = std::chrono::steady_clock::now();
  lost("control", failure);
  control_.detach();
  reaching_ = std::async(std::launch::async, [this, failure] { return reach_again(failure); });
}

// In a thread of its own, while the main one goes on.
Session::Reached Session::reach_again(Failure failure) {
  while (true) {
    backoff_->wait_after(failure);
    try {
      return reach_anywhere();
    } catch (const Failure& again) {
      failure = again;
    }
  }
}

// The donor where it was; else wherever the user's words lead to it.
Session::Reached Session::reach_anywhere() const {
  try {
    return reach(address(), true);
  } catch (const Failure& failure) {
    if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
    Address tried = address();
    for (const Address& choice : choices_) {
      // A name may lead somewhere else by now.
      bool is_name = !choice.host.starts_with('/') && choice.host != tried.hostaddr;
      if (!is_name && choice.host == tried.host && choice.port == tried.port) continue;
      try {
        return reach(choice, false);
      } catch (const Failure& other) {
        if (remedy_of(other.kind) != Remedy::kReconnect) throw;
      }
    }
    throw;
  }
}

// In another place only a server that has taken over is one to go on with: not just any
// standby that a list of hosts leads to while the donor is away for a moment.
Session::Reached Session::reach(const Address& address, bool is_same_place) const {
  auto connection = connect_again(address);
  if (!is_same_place && connection->in_recovery() && !donor_.in_recovery)
    fail(Kind::kConnection, "only a standby of the donor answers",
         "The clone goes on when the donor is back, or a standby has been promoted.");
  Address where = connection->address();
  try {
    check_same_cluster(enter(*connection, procedure_, facts_.token, 0, stop_), donor_);
  } catch (const Failure& failure) {
    std::lock_guard lock(address_mutex_);
    if (failure.kind == Kind::kSessionGone) {
      heir_ = where;
      note_forgotten(*connection);
    }
    throw;
  }
  return {std::move(connection), where};
}

Address Session::address() const {
  std::lock_guard lock(address_mutex_);
  return address_;
}

// --- the other connections ------------------------------------------------------------

std::unique_ptr<Connection> Session::open_stream(std::uint16_t number) const {
  auto connection = connect_again(address());
  try {
    enter(*connection, procedure_, facts_.token, number, stop_);
  } catch (const Failure& failure) {
    if (failure.kind == Kind::kSessionGone) {
      note_forgotten(*connection);
      if (connection->server_start() != server_start_) check_is_one_server();
    }
    throw;
  }
  return connection;
}

// A server that has not been started again and yet knows nothing of the clone lost its memory in a crash. Its
// own word of that, a warning, is for no clone's connection.
void Session::note_forgotten(const Connection& connection) const {
  if (!server_start_.empty() && connection.server_start() == server_start_) has_crashed_ = true;
}

// A connection has reached a server that knows nothing of the clone. Has the donor gone, or is there another
// one beside it? That shows within seconds: the donor answers each heartbeat.
void Session::check_is_one_server() const {
  constexpr std::chrono::milliseconds kInFlight{1500}, kLimit{6000};
  auto asked = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - asked < kLimit && !stop_.requested()) {
    wait_for(-1, 0, 100, stop_);
    if (control_heard_.load() < asked + kInFlight) continue;
    fail(Kind::kElsewhere,
         fmt::format("connections to \"{}\", port {}, reach different servers: one of them knows "
                     "nothing of the clone that goes on at the other",
                     address().host, address().port),
         "Connect to one server itself, not through a balancer or a pooler.");
  }
}

std::optional<bool> Session::standby_streams_by_name() {
  Rows rows;
  try {
    if (!watch_) watch_ = connect_again(address());
    rows = watch_->query(
        fmt::format("SELECT pg_catalog.count(*) FILTER (WHERE application_name = {} AND state = "
                    "'streaming'), pg_catalog.count(*) FILTER (WHERE state IS NULL) "
                    "FROM pg_catalog.pg_stat_replication",
                    quote_literal(options_.name)),
        Kind::kLostDonor);
  } catch (const Failure& failure) {
    // Asked again by a new connection, as long as the control connection finds the donor.
    watch_.reset();
    if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
    return false;
  }
  if (rows.empty() || rows[0][0] != "0") return true;
  if (rows[0][1] != "0") return std::nullopt;
  return false;
}

std::unique_ptr<Connection> Session::open_wal() {
  std::unique_ptr<Connection> connection = std::move(first_wal_connection_);
  if (!connection) {
    Address where = address();
    connection =
        std::make_unique<Connection>(donor_of(options_), Purpose::kReplication, &where, stop_);
    identify(*connection, donor_.system_identifier);
    wal_sender_pid_ = options_.stream_wal ? connection->backend_pid() : 0;
  }
  if (has_begun_) prove_server(*connection);
  return connection;
}

// The same system identifier could be a standby behind the same address; only the donor
// itself has this clone's temporary slot.
void Session::prove_server(Connection& connection) const {
  Rows rows =
      connection.query("READ_REPLICATION_SLOT " + facts_.temporary_slot, Kind::kConnection);
  if (rows.size() == 1 && !rows[0].empty() && rows[0][0] == "physical") return;
  check_is_one_server();
  fail(Kind::kConnection, "the replication connection reached another server than the first one",
       "Connect to the donor itself, not through a balancer or a pooler.");
}

}  // namespace standby_clone
