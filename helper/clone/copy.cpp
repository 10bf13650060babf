// copy.cpp: running the streams.
#include "helper/clone/copy.h"

#include <algorithm>
#include <fmt/format.h>

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

// So many connections are given up over one file. Each may leave a process behind on the donor that
// cannot end: they must not take all of its connections.
constexpr unsigned kSilencesMax = 3;

// As many as the donor's log has.
constexpr unsigned kDamageLinesMax = 5;  // of one file

constexpr std::uint32_t kControlFileSize = 8192;  // PG_CONTROL_FILE_SIZE of all versions

bool still_holds(const KnownFile& promised, const File& listed, std::uint64_t local_size) {
  if (promised.is_complete) return promised.size == listed.size && promised.size == local_size;
  // A file that is no relation is read through one open, or not at all.
  if (!listed.is_relation) return false;
  for (const auto& chunk : promised.chunks)
    if (chunk.offset % protocol::kChunkSize != 0 || chunk.offset + chunk.length > local_size ||
        chunk.offset >= listed.size ||
        chunk.length != std::min<std::uint64_t>(listed.size - chunk.offset, protocol::kChunkSize))
      return false;
  return true;
}

}  // namespace

Copy::Copy(const Options& options, Session& session, FileList& list, const Target& target,
           Progress& progress, StopSource& stop, FirstFailure& failure)
    : session_(session),
      progress_(progress),
      stop_(stop),
      failure_(failure),
      plan_(list),
      recorder_(target.syncs() ? std::make_unique<Recorder>(
                                     target, [this] { failure_.keep_current(); }, Recorder::Pace{})
                               : nullptr),
      files_(list, target, options.manifest_checksums, counters_, recorder_.get()),
      job_{list, plan_, files_, counters_, stop,
           [this](auto& path, auto count, auto block) { note_bad_pages(path, count, block); },
           &is_paused_, [this](auto heard) { return session_.fell_silent_after(heard); },
           options.receive_timeout, [this] { return session_.donor_answers(); },
           [this](std::string_view path) { note_silence(path); }},
      growth_(session.stream_count(), session.control().status().spare_streams),
      grows_(options.jobs == 0),
      started_(Clock::now()) {
  if (!target.is_used()) return;
  plan_.keep_small_files_whole();
  job_.compares = true;
  job_.hash_seed = session.facts().hash_seed;
}

// What the journal promises holds if the file is still there and the donor has it in the same
// length. What is about to be written anew is forgotten first: a chunk that is half overwritten
// when the next run comes must not be trusted.
void Copy::adopt(const KnownFiles& known, const Target& target) {
  const FileList& list = job_.list;
  JournalRecords forgotten;
  for (std::uint32_t file = 0; file < list.files.size(); ++file) {
    const File& listed = list.files[file];
    std::string path(list.path(listed));
    const KnownFile* promised = known.find(path);
    if (promised == nullptr) continue;
    if (auto local = target.open_local(path); !local || !still_holds(*promised, listed, local->size())) {
      forgotten.forget(path);
      continue;
    }
    files_.adopt(file, *promised);
    if (promised->is_complete) {
      plan_.leave_out(file);
      continue;
    }
    std::vector<std::uint64_t> offsets;
    for (const auto& chunk : promised->chunks) offsets.push_back(chunk.offset);
    plan_.leave_out(file, offsets);
  }
  if (!forgotten.empty()) target.append_to_journal(forgotten);
}

void Copy::set_ways(Ways&& ways) {
  ways_ = std::move(ways);
  job_.ways = &ways_;
  job_.report_unreliable = [this](std::string_view path) { note_unreliable(path); };
}

void Copy::start() {
  std::uint16_t count = grows_ ? growth_.count() : session_.stream_count();
  running_ = reading_ = count;
  while (threads_.size() < count) add_stream();
}

void Copy::add_stream() {
  auto number = static_cast<std::uint16_t>(threads_.size() + 1);
  threads_.emplace_back([this, number] { run_stream(number); });
}

void Copy::turn() {
  if (!grows_ || running_ == 0 || is_paused_) return;
  if (is_refused_) growth_.refuse();
  double now = std::chrono::duration<double>(Clock::now() - started_).count();
  std::uint16_t wanted =
      growth_.judge(now, counters_.bytes_done, session_.control().status().spare_streams);
  while (threads_.size() < wanted) {
    // Once the last one has read all, nobody may come after it: it reads pg_control.
    unsigned reading = reading_;
    while (reading > 0 && !reading_.compare_exchange_weak(reading, reading + 1)) {}
    if (reading == 0) return;
    ++running_;
    add_stream();
  }
  if (growth_.has_just_settled())
    progress_.detail(fmt::format("{} streams: more are not faster now, the bound is {}",
                                 growth_.count(), name_of_bound(bounds())));
}

// What the donor says of its streams lately, and what ours did since they began.
Bounds Copy::bounds() const {
  const StatusFacts& donor = session_.control().status();
  Bounds bounds{donor.link_share, donor.disk_share, donor.cpu_share, 0, 0};
  std::uint64_t writing = counters_.writing_us, waiting = counters_.waiting_us;
  std::uint64_t computing = counters_.computing_us;
  std::uint64_t all = std::max<std::uint64_t>(writing + waiting + computing, 1);
  bounds.disk = static_cast<unsigned>(writing * 100 / all);
  bounds.cpu = static_cast<unsigned>(computing * 100 / all);
  return bounds;
}

void Copy::run_stream(std::uint16_t number) {
  try {
    Backoff backoff(session_.patience(), stop_);
    std::unique_ptr<Stream> stream;
    // One that cannot come back holds up nobody once all is given out to others.
    work(number, backoff, stream, [](Stream& ready) { ready.run(); },
         [this] { return plan_.is_empty(); });
    bool is_last = --reading_ == 0;
    if (is_last && !stop_.requested())
      work(number, backoff, stream, [this](Stream& ready) { read_control_file(ready); }, {});
    if (stream && !stop_.requested()) stream->close();
  } catch (...) {
    failure_.keep_current();
  }
  --running_;
  session_.ring();
}

// Does the task on stream `number`; after a lost connection on another one, which goes on where
// that one was.
void Copy::work(std::uint16_t number, Backoff& backoff, std::unique_ptr<Stream>& stream,
                const std::function<void(Stream&)>& task,
                const std::function<bool()>& is_needless) {
  std::string name = fmt::format("stream {}", number);
  bool is_lost = false, has_opened = stream != nullptr;
  while (true) {
    try {
      if (!stream) stream = std::make_unique<Stream>(session_.open_stream(number), job_);
      has_opened = has_opened_ = true;
      if (is_lost) session_.restored(name);
      is_lost = false;
      return task(*stream);
    } catch (const Failure& failure) {
      if (stream) {
        note_break(number, *stream, failure);
        if (stream->has_taken_a_chunk()) backoff.worked();
        stream->give_back();
        stream.reset();
      }
      if (remedy_of(failure.kind) != Remedy::kReconnect) throw;
      if (!has_opened && is_needless && is_spared(number, failure)) {
        if (is_lost) session_.restored(name);
        return;
      }
      if (!is_lost) session_.lost(name, failure);
      is_lost = true;
      backoff.wait_after(failure, is_needless);
      if (is_needless && is_needless()) return session_.restored(name);
    }
  }
}

void Copy::note_break(std::uint16_t number, const Stream& stream, const Failure& failure) {
  std::lock_guard lock(notes_mutex_);
  broken_over_.erase(number);
  if (failure.kind == Kind::kLostDonor && !stream.owed().empty()) broken_over_[number] = stream.owed();
}

std::set<std::string> Copy::broken_over() const {
  std::lock_guard lock(notes_mutex_);
  std::set<std::string> paths;
  for (const auto& [number, path] : broken_over_) paths.insert(path);
  return paths;
}

// On any stream's thread.
void Copy::note_silence(std::string_view path) {
  std::lock_guard lock(notes_mutex_);
  if (++silent_files_[std::string(path)] < kSilencesMax) return;
  fail(Kind::kDonorFailed,
       fmt::format("the donor answers, but nothing came of file \"{}\" on {} connections one after the "
                   "other",
                   path, kSilencesMax),
       "Look at what its processes wait for (pg_stat_activity, wait_event StandbyCloneRead: the disk); if "
       "it is that slow, raise --receive-timeout. Then run the clone again.");
}

// On any stream's thread, for each piece of it.
void Copy::note_unreliable(std::string_view path) {
  {
    std::lock_guard lock(notes_mutex_);
    if (!unreliable_files_.insert(std::string(path)).second) return;
  }
  progress_.warn(fmt::format("LSNs in file \"{}\" do not tell what changed on the donor: it is compared", path));
}

void Copy::note_bad_pages(const std::string& path, std::uint32_t count, std::uint32_t block) {
  bad_pages_ += count;
  // To the end: that no more is told is the last thing told, whatever other streams have found.
  std::lock_guard lock(notes_mutex_);
  unsigned lines = ++damaged_files_[path];
  if (lines > kDamageLinesMax) return;
  progress_.warn(fmt::format("checksum verification failed in file \"{}\", block {}{}{}", path, block,
                             count > 1 ? fmt::format(" and {} more", count - 1) : "",
                             lines < kDamageLinesMax ? "" : "; further ones of this file are not told"));
}

// Where nobody said how many, a further stream that the donor does not let in ends the growth:
// the others do without it. One is needed, and one that was lost comes again.
bool Copy::is_spared(std::uint16_t number, const Failure& failure) {
  bool is_refusal = failure.kind == Kind::kBusy || failure.kind == Kind::kConnection;
  if (!grows_ || !is_refusal || (number == 1 && !has_opened_)) return false;
  is_refused_ = true;
  progress_.detail(
      fmt::format("stream {} was refused, the others go on: {}", number, failure.message));
  return true;
}

void Copy::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool Copy::is_at_rest() {
  if (!is_done()) return false;
  if (!recorder_) return true;
  recorder_->request_end();
  return recorder_->has_ended();
}

void Copy::check_pages() const {
  if (bad_pages_ == 0) return;
  fail(Kind::kCorrupted,
       fmt::format("{} pages of the donor have wrong checksums", bad_pages_.load()),
       "Repair the donor; or clone it as it is with --no-verify-checksums.");
}

// After all other files, before the end of the backup (trap 13).
void Copy::read_control_file(Stream& stream) {
  control_file_ = stream.read_small_file("global/pg_control", kControlFileSize);
  if (control_file_.size() != kControlFileSize)
    fail(Kind::kCorrupted, "the donor's pg_control has a size that no server writes",
         "Check that both hosts run the same pg_standby_clone.");
  counters_.bytes_done += control_file_.size();
}

void Copy::add_to(Reading& reading) const {
  // Counted after bytes_done, and so read before it: never more.
  reading.bytes_kept += counters_.bytes_kept;
  reading.bytes_done += counters_.bytes_done;
  reading.bytes_wire += counters_.bytes_wire;
  reading.files_done += counters_.files_done;
  // What vanished, shrank or grew since the list was made: in the end all that there is was copied.
  reading.bytes_total += static_cast<std::uint64_t>(counters_.bytes_grown.load());
  reading.files_total -= counters_.files_gone;
  reading.streams = running_;
}

}  // namespace standby_clone
