// receiver.cpp: physical streaming without a slot and without ever reporting a position
// (trap 75): a half-made clone must not be counted as a synchronous standby.
#include "helper/wal/receiver.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

#include "helper/base/silence.h"

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

// Unasked, so that wal_sender_timeout never strikes while WAL is silent. Each asks the server for an answer.
constexpr std::chrono::milliseconds kAnswerInterval{10000};
constexpr std::chrono::milliseconds kTurn{500};

// Streaming messages are in network byte order: documentation, "Streaming Replication
// Protocol".
std::uint64_t number_at(protocol::Bytes bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t index = 0; index < 8; ++index)
    number = (number << 8) | static_cast<std::uint64_t>(bytes[at + index]);
  return number;
}

[[noreturn]] void distrust(const std::string& what) {
  fail(Kind::kCorrupted, "the donor's WAL stream cannot be trusted: " + what,
       "Run the clone again.");
}

}  // namespace

std::uint64_t system_identifier_of(Connection& connection) {
  Rows rows = connection.query("IDENTIFY_SYSTEM", Kind::kConnection);
  if (rows.size() != 1 || rows[0].empty() || !rows[0][0]) return 0;
  return std::strtoull(rows[0][0]->c_str(), nullptr, 10);
}

void identify(Connection& connection, std::uint64_t system_identifier) {
  if (system_identifier_of(connection) == system_identifier) return;
  fail(Kind::kConnection, "the replication connection reached another server than the first one",
       "Connect to the donor itself, not through a balancer or a pooler.");
}

WalReceiver::WalReceiver(const WalSource& source, const WalStart& start, const Target& target,
                         StopSource& stop, FirstFailure& failure)
    : source_(source),
      target_(target),
      stop_(stop),
      failure_(failure),
      segment_size_(start.segment_size),
      timeline_(start.timeline),
      at_(segment_start(start.lsn, start.segment_size)) {
  thread_ = std::thread([this] {
    try {
      run();
    } catch (...) {
      failure_.keep_current();
    }
    ended_ = true;
    source_.ended();
  });
}

WalReceiver::~WalReceiver() {
  if (!done_) stop_.request();
  thread_.join();
}

void WalReceiver::finish_at(Lsn stop_lsn) {
  stop_lsn_.store(stop_lsn);
  bell_.ring();
}

std::string WalReceiver::history(Timeline timeline) const {
  std::lock_guard lock(history_mutex_);
  auto found = histories_.find(timeline);
  return found == histories_.end() ? "" : found->second;
}

// After a lost connection it goes on at its position, in the middle of a segment too.
void WalReceiver::run() {
  Backoff backoff(source_.patience, stop_);
  bool is_lost = false;
  while (!stop_.requested()) {
    Lsn begun_at = at_;
    try {
      connection_ = source_.open();
      if (is_lost) source_.restored();
      is_lost = false;
      return receive();
    } catch (const Failure& failure) {
      connection_.reset();
      if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
      if (at_ != begun_at) backoff.worked();
      if (!is_lost) source_.lost(failure);
      is_lost = true;
      backoff.wait_after(failure);
    }
  }
}

void WalReceiver::receive() {
  if (timeline_ > 1 && history(timeline_).empty()) fetch_history(timeline_);
  while (!has_all()) {
    stream();
    if (stop_.requested()) return;
    if (!has_all()) follow_timeline();
  }
  close_segment();
  done_ = true;
}

void WalReceiver::fetch_history(Timeline timeline) {
  Rows rows = connection_->query(fmt::format("TIMELINE_HISTORY {}", timeline), Kind::kDonorFailed);
  if (rows.size() != 1 || rows[0].size() != 2 || !rows[0][1])
    distrust(fmt::format("no history of timeline {}", timeline));
  std::string name = history_file_name(timeline);
  target_.write_file("pg_wal/" + name, *rows[0][1]);
  target_.write_file("pg_wal/archive_status/" + name + ".done", "");
  std::lock_guard lock(history_mutex_);
  histories_[timeline] = *rows[0][1];
}

void WalReceiver::stream() {
  connection_->start_copy_both(
      fmt::format("START_REPLICATION PHYSICAL {} TIMELINE {}", to_string(at_), timeline_),
      Kind::kDonorFailed);
  auto answered = heard_ = Clock::now();
  auto limit = source_.receive_timeout;
  auto interval = limit.count() > 0 ? std::min(kAnswerInterval, limit / 3) : kAnswerInterval;
  Silence silence(limit);
  while (!stop_.requested() && !has_all() && !connection_->copy_ended()) {
    while (auto message = connection_->receive()) {
      handle(*message);
      heard_ = Clock::now();
    }
    if (connection_->copy_ended() || has_all()) break;
    if (Clock::now() - answered > interval) {
      answer();
      answered = Clock::now();
    }
    auto began = Clock::now();
    bool came = connection_->wait(static_cast<int>(kTurn.count()), &bell_);
    if (came)
      silence.end();
    else if (source_.donor_answers())
      silence.waited(Clock::now() - began, kTurn);
    if (silence.is_too_long())
      fail(Kind::kLostDonor,
           fmt::format("nothing came from the donor's WAL sender for {} s, not even what it was asked "
                       "for, though the donor answers elsewhere",
                       limit.count() / 1000),
           "Look at what that process of the donor waits for, and at the network between the hosts.");
    if (!came && source_.donor_fell_silent_after(heard_) &&
        Clock::now() - heard_ > std::chrono::milliseconds(protocol::kSilenceMs))
      fail(Kind::kLostDonor, "nothing was heard from the donor's WAL sender any more",
           "Check the network between the hosts.");
  }
}

// The donor, itself a standby, has gone over to a new timeline.
void WalReceiver::follow_timeline() {
  connection_->end_copy();
  Rows rows = connection_->finish_copy(Kind::kDonorFailed);
  if (rows.empty() || rows[0].size() < 2 || !rows[0][0] || !rows[0][1])
    distrust("it ended without naming a next timeline");
  auto switched = parse_lsn(*rows[0][1]);
  auto next = static_cast<Timeline>(std::strtoul(rows[0][0]->c_str(), nullptr, 10));
  if (!switched || next <= timeline_) distrust("it named a next timeline that cannot be");
  close_segment();
  timeline_ = next;
  at_ = segment_start(*switched, segment_size_);
  fetch_history(timeline_);
}

void WalReceiver::handle(const Message& message) {
  protocol::Bytes bytes = message.bytes();
  constexpr std::size_t kWalHeader = 1 + 8 + 8 + 8, kKeepalive = 1 + 8 + 8 + 1;
  char kind = bytes.empty() ? '\0' : static_cast<char>(bytes[0]);
  if (kind == 'w' && bytes.size() >= kWalHeader)
    write(number_at(bytes, 1), bytes.subspan(kWalHeader));
  else if (kind == 'k' && bytes.size() >= kKeepalive) {
    if (bytes[17] != std::byte{0}) answer();
  } else {
    distrust("a message of unknown kind");
  }
}

void WalReceiver::write(Lsn at, protocol::Bytes bytes) {
  if (at != at_)
    distrust(fmt::format("it continued at {}, expected was {}", to_string(at), to_string(at_)));
  received_ += bytes.size();
  while (!bytes.empty()) {
    if (!segment_) open_segment(at_);
    std::uint64_t offset = at_ % segment_size_;
    std::size_t size = std::min<std::size_t>(bytes.size(), segment_size_ - offset);
    target_.tree().write(segment_.get(), bytes.first(size), offset, segment_name_);
    at_ += size;
    bytes = bytes.subspan(size);
    if (at_ % segment_size_ == 0) close_segment();
  }
}

// Its full size at once: a segment that ends early is padded with zeros, as a server's is.
void WalReceiver::open_segment(Lsn at) {
  const Tree& tree = target_.tree();
  segment_name_ = "pg_wal/" + wal_file_name(timeline_, at, segment_size_);
  segment_ = tree.open(segment_name_, O_WRONLY | O_CREAT, target_.file_mode());
  if (!segment_) fail_on_disk("create WAL file", tree.shown(segment_name_), errno);
  // Whatever our umask: the group may read where the donor's may.
  if (tree.disk().set_mode(segment_.get(), target_.file_mode()) != 0)
    fail_on_disk("set the mode of WAL file", tree.shown(segment_name_), errno);
  tree.reserve(segment_.get(), segment_size_);
  if (tree.disk().truncate(segment_.get(), segment_size_) != 0)
    fail_on_disk("extend WAL file", tree.shown(segment_name_), errno);
}

void WalReceiver::close_segment() {
  if (!segment_) return;
  const Tree& tree = target_.tree();
  tree.sync(segment_.get(), segment_name_);
  segment_.reset();
  tree.sync_directory("pg_wal");
  // A promoted standby must not archive it again (trap 29); and the mark tells a later run that the segment
  // is whole.
  std::string name = segment_name_.substr(segment_name_.rfind('/') + 1);
  target_.write_file("pg_wal/archive_status/" + name + ".done", "");
  durable_ = at_;
}

// "Written, flushed and applied: nothing", and that for ever; and asks for a keepalive.
void WalReceiver::answer() {
  std::array<std::byte, 1 + 8 * 4 + 1> reply{};
  reply[0] = std::byte{'r'};
  auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                 std::chrono::system_clock::now().time_since_epoch())
                 .count() -
             std::int64_t{946684800} * 1000000;  // since 2000-01-01
  for (std::size_t index = 0; index < 8; ++index)
    reply[25 + index] = static_cast<std::byte>(static_cast<std::uint64_t>(now) >> (56 - 8 * index));
  reply.back() = std::byte{1};
  connection_->send(reply);
}

}  // namespace standby_clone
