// clone.cpp: the story of a clone, in Clone::make(). Each step is a room.
#include "helper/clone/clone.h"

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <thread>
#include <unistd.h>

#include "helper/base/first_failure.h"
#include "helper/claim/claim.h"
#include "helper/clone/copy.h"
#include "helper/clone/old_server.h"
#include "helper/clone/on_end.h"
#include "helper/clone/session.h"
#include "helper/clone/sessions.h"
#include "helper/clone/start.h"
#include "helper/clone/takeover.h"
#include "helper/delta/changes.h"
#include "helper/delta/pages.h"
#include "helper/delta/replay.h"
#include "helper/disk/target.h"
#include "helper/preflight/configuration.h"
#include "helper/plan/space.h"
#include "helper/preflight/host.h"
#include "helper/preflight/preflight.h"
#include "helper/standby/origin.h"
#include "helper/standby/standby.h"
#include "helper/wal/receiver.h"

namespace standby_clone {
namespace {

using protocol::Method;
using protocol::Phase;
using Clock = std::chrono::steady_clock;

// Often enough for live views; the lease asks for one each kHeartbeatIntervalMs.
constexpr auto kBeatInterval = std::chrono::seconds(1);

// Who cancels a clone waits no longer than this for a disk that is still at work.
constexpr auto kRestLimit = std::chrono::seconds(1);

// Neither lock file nor journal need a farewell: a run that was killed leaves them as well.
[[noreturn]] void leave_at_once(int code) {
  std::fflush(nullptr);
  _exit(code);
}

bool is_ready(const std::future<void>& task) {
  return task.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

struct Ending {
  Failure failure;
  std::string remains;  // of what was made, in words
};

// Of a way asked for by name.
const char* words_of(Delta way) { return way == Delta::kReplay ? "replay alone" : "what changed"; }

// One session with one donor: another Clone goes on with what it leaves.
class Clone {
 public:
  Clone(const Options& options, Progress& progress, const StopSource& stop,
        const std::optional<Predecessor>& predecessor)
      : options_(options),
        progress_(progress),
        stop_(&stop),
        failure_(stop_),
        session_(options, progress, stop_, predecessor),
        start_(options, progress, stop_),
        old_server_(options, progress, stop_) {}

  // Nothing: it is complete.
  std::optional<Ending> run();
  const Session& session() const { return session_; }
  LostSession lost(const Failure& failure) const {
    return {failure, reading().bytes_done,
            copy_ && session_.has_crashed() ? copy_->broken_over() : std::set<std::string>()};
  }

 private:
  void make();
  bool is_complete_already() const;
  bool is_of_this_command() const;
  void end_complete_already();
  void finish_earlier_clone();
  void open_target();
  void choose_way();
  void begin();
  void record_session();
  Lsn durable_wal(const StatusFacts& status) const;
  void wait_for_start();
  void copy_cluster();
  void prepare_replay();
  void fetch_list();
  void fetch_changes();
  void look_at_pages();
  void compare_instead(const std::string& why_not);
  [[noreturn]] void refuse_way(const std::string& why_not);
  void check_what_is_there();
  void take();
  void keep_own_configuration();
  void make_layout();
  void check_space();
  void clear_leftovers();
  void start_wal();
  void copy();
  void end_backup();
  void finish_wal();
  void sync();
  void finish();
  void hand_over();
  void start_server();
  void report_completion();

  void enter(Phase phase);
  void wait_until(const std::function<bool()>& is_true);
  void on_disk(std::function<void()> work);
  void turn();
  void obey_pause();
  void beat();
  Reading reading() const;
  StandbyFiles standby_files() const;
  std::string origin() const;
  Summary summary() const;
  Ending give_up(const Failure& caught);
  bool is_at_rest() const;
  bool comes_to_rest(const Failure& failure) const;
  Failure explain(const Failure& failure);
  std::string clean_up();

  const Options& options_;
  Progress& progress_;
  StopSource stop_;
  FirstFailure failure_;

  std::unique_ptr<Target> target_;
  Session session_;
  StandbyStart start_;
  OldServer old_server_;
  std::unique_ptr<WalReceiver> wal_;
  FileList list_;
  KnownFiles known_files_;  // durable from an earlier run
  std::optional<Replay> replay_;  // nothing is copied
  std::optional<Changes> changes_;  // what changed is
  ChangesFacts changes_facts_;    // until the streams know their ways
  std::optional<OwnConfiguration> own_configuration_;  // stays
  Leftovers leftovers_;
  std::unique_ptr<Copy> copy_;
  Phase phase_ = Phase::kPreparing;
  Clock::time_point beaten_{};
  bool is_rejoined_ = false;  // goes on in the session of an earlier run
  bool keeps_wal_ = false;    // and with the WAL that it received
  bool is_committed_ = false;
  bool is_paused_ = false;
  std::atomic<bool> disk_work_ended_{true};
  std::future<void> disk_work_;  // last: its thread uses the others
};

std::optional<Ending> Clone::run() {
  try {
    make();
    return std::nullopt;
  } catch (const Failure& failure) {
    return give_up(failure);
  } catch (const std::exception& failure) {
    return give_up(Failure(Kind::kInternal, failure.what()));
  }
}

Ending Clone::give_up(const Failure& caught) {
  stop_.request();
  Failure failure = explain(caught);
  // Before our own threads are waited for: the donor shall be free whatever a disk does here.
  if (session_.has_asked())
    session_.control().report(failure.kind == Kind::kCancelled ? protocol::State::kCancelled
                                                               : protocol::State::kFailed,
                              failure.message);
  else
    session_.control().leave();
  if (!comes_to_rest(failure)) {
    std::string remains = "the system is still writing to \"" + options_.data_directory +
                          "\"; what is there is kept, and no server can be started there: run the "
                          "same command again to go on";
    // An agent lives on: it takes its next request when the disk is done.
    if (options_.command == Command::kAgent) return {failure, remains};
    progress_.fail(failure, remains);
    progress_.finish();
    leave_at_once(exit_code(failure.kind));
  }
  if (copy_) copy_->join();
  if (disk_work_.valid()) disk_work_.wait();
  wal_.reset();
  std::string remains;
  try {
    remains = clean_up();
  } catch (const Failure& second) {
    remains = "what was made could not be removed: " + second.message;
  }
  if (target_ && !target_->is_taken()) {
    target_.reset();
    old_server_.start_again();
  }
  return {failure, remains};
}

// No thread is in the middle of anything any more.
bool Clone::is_at_rest() const {
  return (!copy_ || copy_->is_at_rest()) && (!wal_ || wal_->has_ended()) &&
         (!disk_work_.valid() || is_ready(disk_work_));
}

// A sync of a slow disk can take minutes, and nobody can call it back. Who has cancelled the clone
// does not wait for it.
bool Clone::comes_to_rest(const Failure& failure) const {
  if (failure.kind != Kind::kCancelled) return true;
  auto deadline = Clock::now() + kRestLimit;
  while (!is_at_rest()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

void Clone::make() {
  progress_.enter(Phase::kPreparing);
  if (is_of_this_command()) return end_complete_already();
  check_target(options_).stop_on_error();
  if (is_complete_already()) return finish_earlier_clone();
  session_.connect();
  open_target();
  if (options_.start) start_.find_programs(session_);
  old_server_.check();
  old_server_.stop();
  choose_way();
  begin();
  wait_for_start();
  if (replay_)
    prepare_replay();
  else
    copy_cluster();
  finish();
  hand_over();
  if (options_.start) start_server();
  report_completion();
}

void Clone::copy_cluster() {
  fetch_list();
  if (changes_) fetch_changes();
  if (changes_) look_at_pages();
  on_disk([this] { check_what_is_there(); });
  on_disk([this] { take(); });
  on_disk([this] { make_layout(); });
  start_wal();
  copy();
  end_backup();
  finish_wal();
  sync();
}

// Then only the journal is left to delete, and no donor is needed.
bool Clone::is_complete_already() const {
  return look_at_directory(options_.data_directory).holds == Holds::kCompleteClone;
}

// A standby that a command like this one has made, of the donor's cluster: it may be given again.
bool Clone::is_of_this_command() const {
  std::error_code error;
  if (options_.delta || !std::filesystem::exists(options_.data_directory + "/" + kOriginFile, error)) return false;
  Look look = look_at_directory(options_.data_directory);
  auto origin = read_origin(options_.data_directory);
  if (look.holds != Holds::kCluster || !look.is_standby || !look.is_ours || !origin || origin->name != options_.name ||
      origin->system_identifier != look.system_identifier ||
      (look.occupant != Occupant::kNobody && look.occupant != Occupant::kServer))
    return false;
  Connection donor(donor_of(options_), Purpose::kReplication, nullptr, stop_);
  if (system_identifier_of(donor) != look.system_identifier) return false;
  // The donor's part of it may be lost by now.
  if (!origin->slot.empty() && slot_name_of(origin->slot) == origin->slot) {
    Rows slot = donor.query("READ_REPLICATION_SLOT " + origin->slot, Kind::kConnection);
    if (slot.size() != 1 || slot[0].empty() || !slot[0][0])
      progress_.warn(fmt::format("replication slot \"{}\" of the standby is not on the donor any more: nothing holds the WAL "
                                 "that it needs",
                                 origin->slot));
  }
  return true;
}

// The donor is told nothing: it knows of no clone.
void Clone::end_complete_already() {
  if (options_.start && look_at_directory(options_.data_directory).occupant == Occupant::kNobody) {
    progress_.enter(Phase::kStarting);
    start_.start_alone();
  }
  run_on_end(options_, {}, progress_);
  progress_.complete_already(options_.data_directory, options_.name);
}

void Clone::open_target() {
  target_ = standby_clone::open_target(
      TargetOptions{options_.data_directory, options_.tablespace_mapping, options_.wal_directory,
                    options_.sync, options_.delta, nullptr, options_.sync_by_file},
      leave_of(options_), [this](const std::string& words) { progress_.warn(words); });
  if (target_->was_complete()) return;
  check_identity(*target_, session_.control(), session_.donor());
}

// An earlier run died when all was done; its session is over.
void Clone::finish_earlier_clone() {
  open_target();
  end_complete_already();
}

void Clone::refuse_way(const std::string& why_not) {
  fail(Kind::kTargetRefused,
       fmt::format("\"{}\" cannot be brought up to date by {}: {}", target_->path(), words_of(options_.way), why_not),
       "Nothing was changed. Use --delta, which takes the way that is right.");
}

// The cheapest way that is right beyond doubt, or the one asked for.
void Clone::choose_way() {
  const Delta way = options_.way;
  const bool is_named = way == Delta::kReplay || way == Delta::kChanges;
  if (target_->state() != Target::State::kCluster) {
    bool goes_on = way == Delta::kChanges && target_->state() == Target::State::kResumed;  // by comparison
    if (is_named && !goes_on)
      fail(Kind::kTargetRefused,
           fmt::format("\"{}\" holds no cluster that could be brought up to date by {}", target_->path(), words_of(way)),
           fmt::format("Run the clone without --delta={}.", way == Delta::kReplay ? "replay" : "changes"));
    return;
  }
  if (way == Delta::kCompare) return;
  Control& control = session_.control();
  const DonorWal donor{[&](Lsn since) { return control.survey(since); },
                       [&](Lsn from, Lsn to, std::uint64_t seed) { return control.hash_wal(from, to, seed); }};
  std::string no_replay, no_changes;
  if (way != Delta::kChanges) {
    if (options_.donor_config || !options_.tablespace_mapping.empty() || !options_.wal_directory.empty())
      no_replay = "--donor-config, --tablespace-mapping and --waldir need a copy";
    else
      replay_ = judge_replay(*target_, donor, no_replay);
    if (replay_)
      return progress_.note(fmt::format("by replay: the donor has all WAL from {} on, and \"{}\" is of its history; "
                                        "nothing is copied",
                                        to_string(replay_->from), target_->path()));
  }
  if (way != Delta::kReplay) changes_ = judge_changes(*target_, donor, no_changes);
  if (is_named && !changes_) refuse_way(way == Delta::kReplay ? no_replay : no_changes);
  if (changes_)
    return progress_.note(fmt::format("by what changed on the donor since {}{}", to_string(changes_->since),
                                      no_replay.empty() ? "" : ", because replay alone is not enough: " + no_replay));
  progress_.note("by comparison with the donor, because replay alone is not enough: " + no_replay +
                 (no_changes == no_replay ? "" : "; nor what changed: " + no_changes));
}

void Clone::begin() {
  bool is_resumed = target_->state() == Target::State::kResumed;
  if (is_resumed && target_->session() && session_.rejoin(*target_->session())) {
    is_rejoined_ = true;
    keeps_wal_ = target_->is_laid_out();
    on_disk([this] { known_files_ = target_->go_on_in_session(); });
    progress_.note("going on with the unfinished clone in \"" + target_->path() +
                   "\", in the same session on the donor");
    return;
  }
  Method method = replay_    ? Method::kReplay
                  : changes_ ? Method::kChanges
                  : target_->is_used() ? Method::kCompare
                                       : Method::kFull;
  session_.begin(method, replay_ ? replay_->from : 0);
  if (is_resumed)
    progress_.note("going on with the unfinished clone in \"" + target_->path() +
                   "\": its session on the donor has ended, so what is here is compared");
  record_session();
}

// What a later run needs to go on in this session.
void Clone::record_session() {
  SessionRecord record;
  record.system_identifier = session_.donor().system_identifier;
  record.timeline = session_.control().status().start_timeline;
  record.start_lsn = session_.control().status().start_lsn;
  record.token = session_.facts().token;
  record.hash_seed = session_.facts().hash_seed;
  record.temporary_slot = session_.facts().temporary_slot;
  record.id = session_.control().status().id;
  record.begun_with = session_.begun_with();
  on_disk([this, record] { target_->begin_session(record); });
}

void Clone::wait_for_start() {
  if (!replay_) enter(Phase::kCheckpoint);
  const StatusFacts& status = session_.control().status();
  wait_until([&] { return status.phase >= Phase::kCopying; });
  if (!is_rejoined_ || target_->session()->start_lsn == 0) record_session();
  progress_.detail(fmt::format("clone {} starts at {} on timeline {}", status.id,
                               to_string(status.start_lsn), status.start_timeline));
}

// Instead of a copy. The donor holds all WAL that is needed before anything is changed here.
void Clone::prepare_replay() {
  session_.control().request_end();
  enter(Phase::kFinishing);
  wait_until([&] { return session_.control().label().has_value(); });
  keep_own_configuration();
  on_disk([this] { take(); });
  on_disk([this] { make_replayable(*target_, *replay_); });
}

void Clone::fetch_list() {
  enter(Phase::kCopying);
  session_.control().request_list();
  wait_until([&] { return session_.control().list().has_value(); });
  list_ = session_.control().take_list();
  for (const auto& [path, why] : list_.skipped)
    progress_.warn(fmt::format("\"{}\" {} and does not travel", path, why));
  keep_own_configuration();
}

// Before anything is changed here. By the donor's WAL summaries, else by the LSNs of its pages.
void Clone::fetch_changes() {
  Control& control = session_.control();
  Lsn start = control.status().start_lsn;
  // Of a standby the backup begins at its last restartpoint.
  if (changes_->reach > start)
    return compare_instead(fmt::format("its pages reach {}, the backup begins at {}", to_string(changes_->reach), to_string(start)));
  progress_.detail(fmt::format("asking the donor's WAL summaries what changed since {}", to_string(changes_->since)));
  control.request_changes(changes_->since, changes_->young_from);
  wait_until([&] { return control.changes().has_value(); });
  changes_facts_ = control.take_changes();
  const ChangesFacts& facts = changes_facts_;
  if (facts.is_whole) return progress_.detail("what changed is told by the donor's WAL summaries");
  std::string why_not = why_not_by_pages(facts, session_.donor().has_checksums, session_.donor().server_version);
  if (!why_not.empty()) return compare_instead(facts.why_not + ", and " + why_not);
  progress_.detail("what changed is told by the LSN of each of the donor's pages: " + facts.why_not);
}

// Before anything is changed here, by a connection of its own. What keeps it from an answer is an answer, too.
void Clone::look_at_pages() {
  struct Answer {
    std::string no_proof, no_stay;
  };
  auto answer = std::make_shared<Answer>();
  on_disk([this, answer, start = session_.control().status().start_lsn] {
    FileList none;
    Plan plan(none);
    CopyCounters counters;
    ActiveFiles files(none, *target_, ManifestChecksums::kNone, counters);
    CopyJob job{none, plan, files, counters, stop_, {}};
    job.receive_timeout = options_.receive_timeout;
    job.donor_answers = [this] { return session_.donor_answers(); };
    try {
      Stream stream(session_.open_stream(1), job);
      auto read = [&](const std::string& path, std::uint64_t offset, std::uint32_t size) {
        return stream.read_part(path, offset, size);
      };
      if (!changes_->to_prove.empty())
        answer->no_proof = why_not_of_one_history(*changes_, list_, *target_, read);
      if (answer->no_proof.empty())
        answer->no_stay = why_not_by_sample(*changes_, changes_facts_, start, list_, *target_, read);
      stream.close();
    } catch (const Failure& failure) {
      if (stop_.requested()) throw;
      answer->no_proof = "cannot be proved by pages: " + failure.message;
    }
  });
  if (!answer->no_proof.empty())
    return compare_instead("the donor does not have its WAL any more, and that WAL " + answer->no_proof);
  if (!changes_->to_prove.empty())
    progress_.detail("it is of the donor's history: what it replayed last the donor wrote, too");
  if (answer->no_stay.empty()) return;
  progress_.warn(answer->no_stay);
  compare_instead(answer->no_stay);
}

void Clone::compare_instead(const std::string& why_not) {
  if (options_.way == Delta::kChanges) refuse_way(why_not);
  changes_.reset();
  session_.compare_instead();
  progress_.note("by comparison with the donor, because what changed is not known: " + why_not);
}

// Port, memory, who is let in: with --delta a host keeps its own.
void Clone::keep_own_configuration() {
  if (!target_->was_cluster() || options_.donor_config) return;
  on_disk([this] { own_configuration_.emplace(target_->path(), options_.config_file); });
  list_.leave_out([this](std::string_view path) { return path == kAutoConf || own_configuration_->contains(path); });
  std::string names;
  for (const auto& file : own_configuration_->files()) names += (names.empty() ? "" : ", ") + file;
  if (!names.empty())
    progress_.note("this host's own configuration stays (--donor-config takes the donor's): " + names);
}

// All of it, and once: what is found here is what is cleared later.
void Clone::check_what_is_there() {
  std::vector<std::string> donor_directories;
  for (const auto& tablespace : list_.tablespaces) donor_directories.push_back(tablespace.target);
  target_->check_mapping(donor_directories);
  for (const auto& tablespace : list_.tablespaces)
    target_->check_tablespace(tablespace.path, tablespace.target);
  target_->check_wal_directory();
  if (target_->is_used())
    leftovers_ = look_for_leftovers(*target_, list_, keeps_wal_ ? OldWal::kStays : OldWal::kGoes);
  if (!leftovers_.unremovable.empty())
    fail(Kind::kTargetRefused,
         fmt::format("what is in \"{}\" has to go, and the rights of that directory do not let it",
                     target_->absolute(leftovers_.unremovable.front())),
         "Nothing was changed. Make it readable and writable, or empty it; then run the clone again.");
  check_space();
}

void Clone::check_space() {
  for (const Shortage& shortage : find_shortages(*target_, list_, leftovers_)) {
    if (options_.check_space && !shortage.compresses)
      fail(Kind::kDisk, shortage.text(), Shortage::hint());
    progress_.warn(shortage.text());
  }
}

// Nothing that is asked for after this may refuse: from here on a used directory is changed.
void Clone::take() {
  if (target_->state() == Target::State::kCluster)
    claim_cluster(*target_, {.to_update = true, .to_assume_stopped = options_.assume_stopped},
                  replay_ ? replay_->control_file : changes_ ? changes_->control_file : "");
  target_->set_directory_mode(session_.donor().directory_mode);
}

void Clone::make_layout() {
  for (const auto& directory : list_.directories) {
    if (directory.starts_with("pg_tblspc/")) continue;
    target_->make_directory(directory);
  }
  for (const auto& tablespace : list_.tablespaces)
    target_->make_tablespace(tablespace.path, tablespace.target);
  for (const auto& directory : list_.directories)
    if (directory.starts_with("pg_tblspc/")) target_->make_directory(directory);
  clear_leftovers();
  target_->end_layout();
}

void Clone::clear_leftovers() {
  Leftovers& found = leftovers_;
  remove_leftovers(*target_, found);
  if (!found.to_remove.empty())
    progress_.detail(fmt::format("removed {} files and directories that the donor does not have",
                                 found.to_remove.size()));
  for (const auto& name : found.kept_entries)
    if (!own_configuration_ || !own_configuration_->contains(name))
      progress_.note(fmt::format("\"{}\" is not of the donor and is kept", target_->absolute(name)));
  for (const auto& path : found.unreadable)
    progress_.warn(fmt::format("\"{}\" cannot be read: it is kept, and is not in the manifest",
                               target_->absolute(path)));
  for (const auto& directory : found.abandoned)
    progress_.note(fmt::format("tablespace directory \"{}\" is not used any more; what is in it is "
                               "left as it is",
                               directory));
}

void Clone::start_wal() {
  if (!options_.stream_wal) return;
  StatusFacts status = session_.control().status();
  WalSource source{[this] { return session_.open_wal(); },
                   [this](const Failure& failure) { session_.lost("WAL", failure); },
                   [this] { session_.restored("WAL"); },
                   [this](auto heard) { return session_.fell_silent_after(heard); },
                   [this] { session_.ring(); },
                   session_.patience(), options_.receive_timeout,
                   [this] { return session_.donor_answers(); }};
  auto begin = std::make_shared<Lsn>(status.start_lsn);
  if (keeps_wal_) on_disk([this, begin, status] { *begin = durable_wal(status); });
  wal_ = std::make_unique<WalReceiver>(
      source,
      WalStart{*begin, status.start_timeline,
               session_.donor().wal_segment_size},
      *target_, stop_, failure_);
}

// Where the WAL of an earlier run of this session durably ends: what is marked as done was synced
// before. A standby as the donor may have changed its timeline: there it starts from the beginning.
Lsn Clone::durable_wal(const StatusFacts& status) const {
  std::uint32_t size = session_.donor().wal_segment_size;
  Lsn at = segment_start(status.start_lsn, size);
  if (session_.donor().in_recovery) return at;
  while (true) {
    std::string name = wal_file_name(status.start_timeline, at, size);
    auto segment = target_->open_local("pg_wal/" + name);
    if (!segment || segment->size() != size ||
        !target_->open_local("pg_wal/archive_status/" + name + ".done"))
      return at;
    at += size;
  }
}

void Clone::copy() {
  copy_ = std::make_unique<Copy>(options_, session_, list_, *target_, progress_, stop_, failure_);
  copy_->set_paused(is_paused_);
  on_disk([this] { copy_->adopt(known_files_, *target_); });
  if (changes_) on_disk([this] { copy_->set_ways(ways_of(list_, *target_, *changes_, changes_facts_)); });
  changes_facts_ = {};
  known_files_ = {};
  copy_->start();
  wait_until([&] { return copy_->is_done(); });
  copy_->join();
  failure_.rethrow_if_any();
  copy_->check_pages();
}

void Clone::end_backup() {
  session_.control().request_end();
  enter(Phase::kWal);
  wait_until([&] { return session_.control().label().has_value(); });
  const std::string& tablespaces = session_.control().label()->new_tablespaces;
  if (!tablespaces.empty())
    progress_.warn(
        "tablespaces were created on the donor during the clone; the standby will create them at "
        "the same places of this host when it replays that, or fail if it cannot. Make sure these "
        "directories exist here and are empty, before you start it:\n" +
        tablespaces);
}

void Clone::finish_wal() {
  if (!wal_) return;
  wal_->finish_at(session_.control().label()->stop_lsn);
  wait_until([&] { return wal_->is_done(); });
}

void Clone::sync() {
  enter(Phase::kSyncing);
  on_disk([this] { target_->sync_all(); });
}

void Clone::finish() {
  enter(Phase::kFinishing);
  auto overrides = std::make_shared<std::vector<Override>>();
  on_disk([this, overrides, files = standby_files()] { *overrides = prepare_standby(*target_, list_, files); });
  if (!overrides->empty())
    progress_.note("what would keep the copy from being a standby is overruled in postgresql.auto.conf: " +
                   names_of(*overrides));
}

StandbyFiles Clone::standby_files() const {
  const LabelFacts& label = *session_.control().label();
  const DonorFacts& donor = session_.donor();
  StandbyFiles files;
  files.backup_label = label.backup_label;
  files.control_file = replay_ ? replay_->control_file : copy_->control_file();
  files.conninfo = session_.standby_conninfo();
  files.slot_name = options_.slot;
  files.config_file = external_config_file(options_, donor.external_files, donor.data_directory);
  // The donor's paths are in the donor's files.
  if (files.config_file.empty() && !own_configuration_) files.donor_directory = donor.data_directory;
  files.keeps_own_settings = own_configuration_.has_value();
  files.server_version = donor.server_version;
  files.system_identifier = donor.system_identifier;
  files.write_manifest = options_.write_manifest && !replay_;
  files.settings = settings_of(options_);
  files.origin = origin();
  files.encode_manifest = options_.encode_manifest;
  files.manifest_checksums = options_.manifest_checksums;
  files.reads_for_checksums = options_.manifest_checksums_given;
  files.wal = wal_ ? wal_ranges(label.start_timeline, label.start_lsn, label.stop_timeline,
                                label.stop_lsn, wal_->history(label.stop_timeline))
                   : std::vector<WalRange>{{label.stop_timeline, label.start_lsn, label.stop_lsn}};
  files.kept = leftovers_.kept_files;
  files.sha2_of = [this](std::uint32_t file) { return copy_->sha2(file); };
  return files;
}

std::string Clone::origin() const {
  const LabelFacts& label = *session_.control().label();
  Address donor = session_.address();
  StandbyOrigin origin;
  origin.id = session_.control().status().id;
  origin.name = options_.name;
  origin.slot = options_.slot;
  origin.donor_host = donor.host;
  origin.donor_port = donor.port;
  origin.system_identifier = session_.donor().system_identifier;
  origin.server_version = session_.donor().server_version;
  origin.method = protocol::name_of(session_.facts().method);
  origin.timeline = label.stop_timeline;
  origin.start_lsn = label.start_lsn;
  origin.stop_lsn = label.stop_lsn;
  origin.verified_checksums = options_.verify_checksums && !replay_;
  origin.completed_at = std::time(nullptr);
  return text_of(origin);
}

// The donor makes the permanent slot, then pg_control takes its name: from there on the
// directory is a standby.
void Clone::hand_over() {
  Control& control = session_.control();
  control.acknowledge_label();
  wait_until([&] { return control.status().handed_over; });
  is_committed_ = true;
  commit_standby(*target_);
}

void Clone::start_server() {
  enter(Phase::kStarting);
  start_.begin(replay_ ? session_.control().label()->stop_lsn : 0);
  wait_until([&] { return start_.is_streaming(session_); });
  enter(Phase::kStreaming);
}

void Clone::report_completion() {
  if (!session_.report_completed([this] { turn(); }))
    progress_.warn("the donor could not be told that the clone is complete; if it drops slot \"" +
                   options_.slot + "\" after a while, make it again");
  Summary made = summary();
  run_on_end(options_, {made.id, made.method, std::nullopt}, progress_);
  progress_.complete(made);
}

Summary Clone::summary() const {
  const LabelFacts& label = *session_.control().label();
  Reading now = reading();
  Summary summary;
  summary.method = now.method;
  summary.id = session_.control().status().id;
  summary.directory = target_->path();
  summary.name = options_.name;
  summary.slot = options_.slot;
  summary.is_streaming = options_.start;
  if (!options_.config_file.empty() || !options_.start_command.empty() ||
      std::filesystem::exists(target_->absolute("postgresql.conf")))
    summary.how_to_start = start_.how_to_start();
  summary.bytes = now.bytes_done;
  summary.kept = now.bytes_kept;
  summary.wire = now.bytes_wire;
  summary.files = now.files_done;
  summary.wal = now.wal_bytes;
  summary.start_lsn = to_string(label.start_lsn);
  summary.stop_lsn = to_string(label.stop_lsn);
  return summary;
}

void Clone::enter(Phase phase) {
  phase_ = phase;
  progress_.enter(phase);
  beat();
}

void Clone::wait_until(const std::function<bool()>& is_true) {
  session_.wait_until(is_true, [this] { turn(); });
}

// Work that a slow disk may hold up for long: the donor is heard meanwhile. It owns what it needs, for
// it may outlive the wait.
void Clone::on_disk(std::function<void()> work) {
  disk_work_ended_ = false;
  disk_work_ = std::async(std::launch::async, [this, work = std::move(work)] {
    struct Teller {
      Clone& clone;
      ~Teller() {
        clone.disk_work_ended_ = true;
        clone.session_.ring();
      }
    } teller{*this};
    work();
  });
  wait_until([this] { return disk_work_ended_.load(); });
  disk_work_.get();
}

// A few times a second, while anything is waited for.
void Clone::turn() {
  failure_.rethrow_if_any();
  obey_pause();
  if (Clock::now() - beaten_ >= kBeatInterval) beat();
  if (copy_) copy_->turn();
  progress_.tick(reading());
}

void Clone::obey_pause() {
  bool is_paused = session_.control().status().state == protocol::State::kPaused;
  if (is_paused == is_paused_) return;
  is_paused_ = is_paused;
  if (copy_) copy_->set_paused(is_paused);
  if (is_paused) session_.control().acknowledge_pause();
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
  heartbeat.wal_sender_pid = session_.wal_sender_pid();
  heartbeat.bytes_kept = now.bytes_kept;
  heartbeat.method = now.method;
  session_.control().beat(heartbeat);
}

Reading Clone::reading() const {
  Reading now;
  now.method = session_.facts().method;
  now.bytes_total = list_.bytes_total;
  now.bytes_wire = session_.wire_bytes();
  now.files_total = list_.files.size();
  now.wal_bytes = wal_ ? wal_->bytes_received() : 0;
  if (copy_) copy_->add_to(now);
  now.is_paused = is_paused_;
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
  if (cause.kind == Kind::kLeaseOver)
    return Failure(cause.kind,
                   "the donor has given the clone up: nothing was heard from here for longer than "
                   "its pg_standby_clone.reconnect_timeout",
                   "Run the clone again; raise that setting if the network or this host may be "
                   "away for long.");
  if (cause.kind == Kind::kSessionGone)
    return Failure(cause.kind,
                   "the donor does not know this clone any more: it was restarted, its library was "
                   "replaced, or another server has taken its place",
                   "Run the clone again.");
  if (cause.kind == Kind::kCancelled && stop_.signal() != 0)
    return Failure(cause.kind, words_of(stop_), cause.hint);
  if (cause.kind != Kind::kLostDonor && cause.kind != Kind::kDonorCrashed) return cause;
  std::string reason = session_.control().reason_of_donor();
  if (reason.empty()) return cause;
  return session_.control().ended_by_donor();
}

// What is left of a failed clone, in words.
std::string Clone::clean_up() {
  if (!target_ || target_->was_complete()) return "";
  if (is_committed_ && options_.start)
    return "the standby in \"" + target_->path() + "\" is complete" +
           (options_.slot.empty() ? "" : ", and slot \"" + options_.slot + "\" holds its WAL") +
           "; start it with: " + start_.how_to_start();
  if (is_committed_)
    return "everything was copied; what is in \"" + target_->path() +
           "\" is kept: run the same command again";
  if (target_->state() == Target::State::kFresh && reading().bytes_done == 0) {
    target_->remove_what_was_made();
    return "what was made in \"" + target_->path() + "\" has been removed; nothing else was touched";
  }
  if (!target_->is_taken()) return "nothing in \"" + target_->path() + "\" was changed";
  std::string remains = fmt::format(
      "what is in \"{}\" is kept, and no server can be started there: run the same command again to "
      "go on",
      target_->path());
  auto own = target_->own_directories();
  remains += own.size() == 1 ? "; or remove that directory"
                             : "; or remove these directories:";
  if (own.size() > 1)
    for (const auto& directory : own) remains += "\n  " + directory;
  return remains;
}

// A donor that was restarted, or another server in its place, knows nothing of the clone: what is here is
// gone on with in a session of its own. Throws what ends the run.
void wait_for_successor(const Clone& clone, const Failure& failure, SessionsInARow& sessions,
                        std::optional<Backoff>& backoff, Progress& progress, const StopSource& stop) {
  if (!clone.session().has_begun()) {
    if (!backoff) throw Failure(failure);
    return backoff->wait_after(failure);
  }
  bool may_try = clone.session().patience().count() > 0;
  if (!may_try || remedy_of(failure.kind) != Remedy::kNewSession) throw Failure(failure);
  auto now = Clock::now();
  auto wait = sessions.wait_after(clone.lost(failure), now);
  auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  progress.warn(failure.message + "; going on with another session" +
                (seconds > 0 ? fmt::format(" in {} s", seconds) : ""));
  while (Clock::now() < now + wait) {
    wait_for(-1, 0, 200, stop);
    if (stop.requested()) fail(Kind::kCancelled, words_of(stop));
  }
}

}  // namespace

int run_clone(const Options& options, Progress& progress, StopSource& stop) {
  std::optional<Predecessor> predecessor;
  std::optional<Backoff> backoff;
  SessionsInARow sessions;
  while (true) {
    Clone clone(options, progress, stop, predecessor);
    auto ending = clone.run();
    if (!ending) return 0;
    if (clone.session().has_begun()) {
      predecessor = clone.session().as_predecessor();
      backoff.emplace(clone.session().patience(), stop);
    }
    try {
      wait_for_successor(clone, ending->failure, sessions, backoff, progress, stop);
    } catch (const Failure& failure) {
      run_on_end(options, {clone.session().control().status().id, std::nullopt, failure}, progress);
      progress.fail(failure, ending->remains);
      return exit_code(failure.kind);
    }
  }
}

}  // namespace standby_clone
