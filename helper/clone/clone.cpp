// clone.cpp: the story of a clone, in Clone::run(). Each step is a room.
#include "helper/clone/clone.h"

#include <fmt/format.h>
#include <future>
#include <thread>
#include <unistd.h>

#include "helper/base/first_failure.h"
#include "helper/base/size.h"
#include "helper/clone/control.h"
#include "helper/connection/connection.h"
#include "helper/disk/target.h"
#include "helper/plan/plan.h"
#include "helper/standby/standby.h"
#include "helper/stream/stream.h"
#include "helper/wal/receiver.h"

namespace standby_clone {
namespace {

using protocol::Phase;
using Clock = std::chrono::steady_clock;

// Often enough for live views; the lease asks for one each kHeartbeatIntervalMs.
constexpr auto kBeatInterval = std::chrono::seconds(1);

constexpr std::uint32_t kControlFileSize = 8192;  // PG_CONTROL_FILE_SIZE of all versions

Donor donor_of(const Options& options) {
  return {options.connection, options.host,           options.port,
          options.user,       options.never_ask_password, options.ask_password};
}

std::string destination_of(const Options& options) {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return std::string(name) + ":" + options.data_directory;
}

class Clone {
 public:
  Clone(const Options& options, Progress& progress, StopSource& stop)
      : options_(options), progress_(progress), stop_(stop), failure_(stop) {}

  int run();

 private:
  void make();
  void open_target();
  void connect();
  void begin();
  void wait_for_checkpoint();
  void start_wal();
  void fetch_list();
  void make_layout();
  void copy();
  void run_stream(std::uint16_t number);
  void check_pages();
  void read_control_file();
  void end_backup();
  void finish_wal();
  void sync();
  void finish();
  void hand_over();

  void enter(Phase phase);
  void turn();
  void beat();
  Reading reading() const;
  StandbyFiles standby_files() const;
  int give_up(const Failure& caught);
  Failure explain(const Failure& failure);
  std::string clean_up();

  const Options& options_;
  Progress& progress_;
  StopSource& stop_;
  FirstFailure failure_;

  std::unique_ptr<Target> target_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Connection> wal_connection_;
  std::unique_ptr<Control> control_;
  Address address_;
  std::string procedure_;
  DonorFacts donor_;
  SessionFacts session_;
  std::unique_ptr<WalReceiver> wal_;
  FileList list_;
  std::unique_ptr<Plan> plan_;
  CopyCounters counters_;
  std::unique_ptr<ActiveFiles> files_;
  std::unique_ptr<CopyJob> job_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> running_{0};
  std::atomic<std::uint64_t> bad_pages_{0};
  std::string control_file_;
  std::uint16_t stream_count_ = 1;
  Phase phase_ = Phase::kPreparing;
  Clock::time_point beaten_{};
  bool is_committed_ = false;
};

int Clone::run() {
  try {
    make();
    return 0;
  } catch (const Failure& failure) {
    return give_up(failure);
  } catch (const std::exception& failure) {
    return give_up(Failure(Kind::kInternal, failure.what()));
  }
}

int Clone::give_up(const Failure& caught) {
  stop_.request();
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
  Failure failure = explain(caught);
  if (control_)
    control_->report(failure.kind == Kind::kCancelled ? protocol::State::kCancelled
                                                      : protocol::State::kFailed,
                     failure.message);
  wal_.reset();
  std::string remains;
  try {
    remains = clean_up();
  } catch (const Failure& second) {
    remains = "what was made could not be removed: " + second.message;
  }
  progress_.fail(failure, remains);
  return exit_code(failure.kind);
}

void Clone::make() {
  progress_.enter(Phase::kPreparing);
  open_target();
  if (target_->was_complete()) return;
  connect();
  begin();
  wait_for_checkpoint();
  fetch_list();
  make_layout();
  start_wal();
  copy();
  check_pages();
  read_control_file();
  end_backup();
  finish_wal();
  sync();
  finish();
  hand_over();
}

void Clone::open_target() {
  target_ = std::make_unique<Target>(TargetOptions{options_.data_directory,
                                                   options_.tablespace_mapping,
                                                   options_.wal_directory, options_.sync});
  if (target_->was_complete())
    progress_.note("the clone in \"" + target_->path() + "\" was complete already");
  if (target_->started_over())
    progress_.note("removed an unfinished clone from \"" + target_->path() + "\"; starting over");
}

void Clone::connect() {
  connection_ = std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, nullptr, stop_);
  address_ = connection_->address();
  procedure_ = find_procedure(*connection_);
  donor_ = standby_clone::enter(*connection_, procedure_, {}, 0, stop_);
  control_ = std::make_unique<Control>(*connection_, stop_);
  // Before anything is begun: this shows whether the standby will be let in, too.
  wal_connection_ =
      std::make_unique<Connection>(donor_of(options_), Purpose::kReplication, &address_, stop_);
  identify(*wal_connection_, donor_.system_identifier);
  if (!options_.stream_wal) wal_connection_.reset();

  target_->set_directory_mode(donor_.directory_mode);
  stream_count_ = std::min(options_.jobs, donor_.max_streams);
  if (stream_count_ < options_.jobs)
    progress_.note(fmt::format("the donor allows {} streams (pg_standby_clone.max_streams)",
                               stream_count_));
  if (options_.verify_checksums && !donor_.has_checksums)
    progress_.detail("the donor has no page checksums to verify");
  if (!donor_.external_files.empty())
    progress_.note(
        "the donor's configuration files outside its data directory do not travel; the standby "
        "needs its own:\n" +
        donor_.external_files);
}

void Clone::begin() {
  protocol::Begin request;
  std::string destination = destination_of(options_);
  request.target = options_.name;
  request.destination = destination;
  request.slot_name = options_.slot;
  request.label = options_.label;
  request.slot_given = options_.slot_given;
  request.fast_checkpoint = options_.fast_checkpoint;
  request.verify_checksums = options_.verify_checksums;
  request.advance_slot = options_.stream_wal;
  request.compression = options_.compression;
  request.compression_level = options_.compression_level;
  request.streams = stream_count_;
  request.max_rate = options_.max_rate;
  request.wal_sender_pid = wal_connection_ ? wal_connection_->backend_pid() : 0;
  session_ = control_->begin(request);
}

void Clone::wait_for_checkpoint() {
  enter(Phase::kCheckpoint);
  control_->wait_until([&] { return control_->status().phase >= Phase::kCopying; },
                       [&] { turn(); });
  progress_.detail(fmt::format("clone {} starts at {} on timeline {}", control_->status().id,
                               to_string(control_->status().start_lsn),
                               control_->status().start_timeline));
}

void Clone::fetch_list() {
  enter(Phase::kCopying);
  list_ = control_->list();
  plan_ = std::make_unique<Plan>(list_);
  for (const auto& path : list_.skipped)
    progress_.warn("\"" + path + "\" is a link or a special file and does not travel");
}

void Clone::make_layout() {
  std::vector<std::string> donor_directories;
  for (const auto& tablespace : list_.tablespaces) donor_directories.push_back(tablespace.target);
  target_->check_mapping(donor_directories);
  for (const auto& directory : list_.directories)
    if (!directory.starts_with("pg_tblspc/")) target_->make_directory(directory);
  for (const auto& tablespace : list_.tablespaces)
    target_->make_tablespace(tablespace.path, tablespace.target);
  for (const auto& directory : list_.directories)
    if (directory.starts_with("pg_tblspc/")) target_->make_directory(directory);

  std::vector<Target::Need> needs{{target_->path(), 0}};
  for (const auto& tablespace : list_.tablespaces)
    needs.push_back({target_->mapped(tablespace.target), 0});
  for (const File& file : list_.files) {
    std::size_t home = 0;
    for (std::size_t index = 0; index < list_.tablespaces.size(); ++index)
      if (list_.path(file).starts_with(list_.tablespaces[index].path + "/")) home = index + 1;
    needs[home].bytes += file.size;
  }
  target_->check_space(needs);
}

void Clone::start_wal() {
  if (!options_.stream_wal) return;
  const StatusFacts& status = control_->status();
  wal_ = std::make_unique<WalReceiver>(
      std::move(wal_connection_),
      WalStart{status.start_lsn, status.start_timeline, donor_.wal_segment_size,
               session_.temporary_slot},
      *target_, stop_, failure_);
}

void Clone::copy() {
  files_ = std::make_unique<ActiveFiles>(list_, *target_, options_.manifest_checksums, counters_);
  job_ = std::make_unique<CopyJob>(CopyJob{
      list_, *plan_, *files_, counters_, stop_,
      [this](const std::string& path, std::uint32_t count, std::uint32_t block) {
        bad_pages_ += count;
        progress_.warn(fmt::format("checksum verification failed in file \"{}\", block {}{}", path,
                                   block, count > 1 ? fmt::format(" and {} more", count - 1) : ""));
      }});
  streams_.resize(stream_count_);
  running_ = stream_count_;
  for (std::uint16_t number = 1; number <= stream_count_; ++number)
    threads_.emplace_back([this, number] { run_stream(number); });
  control_->wait_until([&] { return running_ == 0; }, [&] { turn(); });
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  failure_.rethrow_if_any();
}

void Clone::run_stream(std::uint16_t number) {
  try {
    auto connection =
        std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, &address_, stop_);
    standby_clone::enter(*connection, procedure_, session_.token, number, stop_);
    streams_[number - 1] = std::make_unique<Stream>(std::move(connection), *job_);
    streams_[number - 1]->run();
  } catch (...) {
    failure_.keep_current();
  }
  --running_;
}

void Clone::check_pages() {
  if (bad_pages_ == 0) return;
  fail(Kind::kCorrupted,
       fmt::format("{} pages of the donor have wrong checksums", bad_pages_.load()),
       "Repair the donor; or clone it as it is with --no-verify-checksums.");
}

// After all other files, before the end of the backup (trap 13).
void Clone::read_control_file() {
  control_file_ = streams_.front()->read_small_file("global/pg_control", kControlFileSize);
  if (control_file_.size() != kControlFileSize)
    fail(Kind::kCorrupted, "the donor's pg_control has a size that no server writes",
         "Check that both hosts run the same pg_standby_clone.");
  for (auto& stream : streams_) stream->close();
  streams_.clear();
}

void Clone::end_backup() {
  control_->request_end();
  enter(Phase::kWal);
  control_->wait_until([&] { return control_->label().has_value(); }, [&] { turn(); });
  const std::string& tablespaces = control_->label()->new_tablespaces;
  if (!tablespaces.empty())
    progress_.warn(
        "tablespaces were created on the donor during the clone; the standby will create them at "
        "the same places of this host when it replays that, or fail if it cannot. Make sure these "
        "directories exist here and are empty, before you start it:\n" +
        tablespaces);
}

void Clone::finish_wal() {
  if (!wal_) return;
  wal_->finish_at(control_->label()->stop_lsn);
  control_->wait_until([&] { return wal_->is_done(); }, [&] { turn(); });
}

void Clone::sync() {
  enter(Phase::kSyncing);
  auto synced = std::async(std::launch::async, [&] { target_->sync_all(); });
  control_->wait_until(
      [&] { return synced.wait_for(std::chrono::seconds(0)) == std::future_status::ready; },
      [&] { turn(); });
  synced.get();
}

void Clone::finish() {
  enter(Phase::kFinishing);
  StandbyFiles files = standby_files();
  auto prepared = std::async(std::launch::async, [&] { prepare_standby(*target_, list_, files); });
  control_->wait_until(
      [&] { return prepared.wait_for(std::chrono::seconds(0)) == std::future_status::ready; },
      [&] { turn(); });
  prepared.get();
}

StandbyFiles Clone::standby_files() const {
  const LabelFacts& label = *control_->label();
  StandbyFiles files;
  files.backup_label = label.backup_label;
  files.control_file = control_file_;
  files.conninfo = connection_->standby_conninfo(options_.name, options_.write_password,
                                                 donor_.server_version >= 170000);
  files.slot_name = options_.slot;
  files.server_version = donor_.server_version;
  files.system_identifier = donor_.system_identifier;
  files.write_manifest = options_.write_manifest;
  files.manifest_checksums = options_.manifest_checksums;
  files.wal = wal_ ? wal_ranges(label.start_timeline, label.start_lsn, label.stop_timeline,
                                label.stop_lsn, wal_->history(label.stop_timeline))
                   : std::vector<WalRange>{{label.stop_timeline, label.start_lsn, label.stop_lsn}};
  files.sha2_of = [this](std::uint32_t file) { return files_->sha2(file); };
  return files;
}

// The donor makes the permanent slot, then pg_control takes its name: from there on the
// directory is a standby.
void Clone::hand_over() {
  control_->acknowledge_label();
  control_->wait_until([&] { return control_->status().handed_over; }, [&] { turn(); });
  is_committed_ = true;
  commit_standby(*target_);
  control_->report(protocol::State::kCompleted, "");
  if (control_->status().state != protocol::State::kCompleted)
    progress_.warn("the donor could not be told that the clone is complete; if it drops slot \"" +
                   options_.slot + "\" after a while, make it again");

  const LabelFacts& label = *control_->label();
  Reading now = reading();
  Summary summary;
  summary.id = control_->status().id;
  summary.directory = target_->path();
  summary.name = options_.name;
  summary.slot = options_.slot;
  summary.bytes = now.bytes_done;
  summary.wire = now.bytes_wire;
  summary.files = now.files_done;
  summary.wal = now.wal_bytes;
  summary.start_lsn = to_string(label.start_lsn);
  summary.stop_lsn = to_string(label.stop_lsn);
  progress_.complete(summary);
}

void Clone::enter(Phase phase) {
  phase_ = phase;
  progress_.enter(phase);
  beat();
}

// A few times a second, while anything is waited for.
void Clone::turn() {
  failure_.rethrow_if_any();
  if (Clock::now() - beaten_ >= kBeatInterval) beat();
  progress_.tick(reading());
}

void Clone::beat() {
  beaten_ = Clock::now();
  Reading now = reading();
  protocol::Heartbeat heartbeat;
  heartbeat.phase = phase_;
  heartbeat.durable_lsn = wal_ ? wal_->durable_lsn() : 0;
  heartbeat.bytes_done = now.bytes_done;
  heartbeat.bytes_total = now.bytes_total;
  heartbeat.files_done = now.files_done;
  heartbeat.files_total = now.files_total;
  heartbeat.tablespaces_total = static_cast<std::uint16_t>(list_.tablespaces.size() + 1);
  control_->beat(heartbeat);
}

Reading Clone::reading() const {
  Reading now;
  now.bytes_done = counters_.bytes_done;
  now.bytes_total = list_.bytes_total;
  now.bytes_wire = counters_.bytes_wire + (control_ ? control_->wire_bytes() : 0);
  now.files_done = counters_.files_done;
  now.files_total = list_.files.size();
  now.wal_bytes = wal_ ? wal_->bytes_received() : 0;
  now.streams = running_;
  return now;
}

// The first cause, in the donor's own words where it has them.
Failure Clone::explain(const Failure& caught) {
  Failure cause = caught;
  try {
    failure_.rethrow_if_any();
  } catch (const Failure& first) {
    cause = first;
  } catch (const std::exception& first) {
    return Failure(Kind::kInternal, first.what());
  }
  if (cause.kind != Kind::kLostDonor || !control_) return cause;
  std::string reason = control_->reason_of_donor();
  if (reason.empty()) return cause;
  return Failure(Kind::kDonorFailed, "the donor ended the clone: " + reason,
                 "See the donor's log; then run the clone again.");
}

// What is left of a failed clone, in words.
std::string Clone::clean_up() {
  if (!target_ || target_->was_complete()) return "";
  if (is_committed_)
    return "everything was copied; what is in \"" + target_->path() +
           "\" is kept: run the same command again";
  target_->remove_what_was_made();
  return "what was made in \"" + target_->path() + "\" has been removed; nothing else was touched";
}

}  // namespace

int run_clone(const Options& options, Progress& progress, StopSource& stop) {
  return Clone(options, progress, stop).run();
}

}  // namespace standby_clone
