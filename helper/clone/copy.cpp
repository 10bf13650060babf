// copy.cpp: running the streams.
#include "helper/clone/copy.h"

#include <fmt/format.h>

namespace standby_clone {
namespace {

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

Copy::Copy(const Options& options, const Session& session, FileList& list, const Target& target,
           std::unordered_map<std::string, KnownFile> known, Progress& progress, StopSource& stop,
           FirstFailure& failure)
    : session_(session),
      progress_(progress),
      failure_(failure),
      plan_(list),
      recorder_(target.syncs() ? std::make_unique<Recorder>(
                                     target, [this] { failure_.keep_current(); }, Recorder::Pace{})
                               : nullptr),
      files_(list, target, options.manifest_checksums, counters_, recorder_.get()),
      job_{list, plan_, files_, counters_, stop,
           [this](const std::string& path, std::uint32_t count, std::uint32_t block) {
             bad_pages_ += count;
             progress_.warn(
                 fmt::format("checksum verification failed in file \"{}\", block {}{}", path, block,
                             count > 1 ? fmt::format(" and {} more", count - 1) : ""));
           },
           &is_paused_} {
  if (!target.is_used()) return;
  plan_.keep_small_files_whole();
  job_.compares = true;
  job_.hash_seed = session.facts().hash_seed;
  adopt(std::move(known), list, target);
}

// What the journal promises holds if the file is still there and the donor has it in the same
// length. What is about to be written anew is forgotten first: a chunk that is half overwritten
// when the next run comes must not be trusted.
void Copy::adopt(std::unordered_map<std::string, KnownFile> known, const FileList& list,
                 const Target& target) {
  JournalRecords forgotten;
  for (std::uint32_t file = 0; file < list.files.size(); ++file) {
    const File& listed = list.files[file];
    std::string path(list.path(listed));
    auto found = known.find(path);
    if (found == known.end()) continue;
    KnownFile& promised = found->second;
    if (auto local = target.open_local(path); !local || !still_holds(promised, listed, local->size())) {
      forgotten.forget(path);
      continue;
    }
    files_.adopt(file, promised);
    if (promised.is_complete) {
      plan_.leave_out(file);
      continue;
    }
    std::vector<std::uint64_t> offsets;
    for (const auto& chunk : promised.chunks) offsets.push_back(chunk.offset);
    plan_.leave_out(file, offsets);
  }
  if (!forgotten.empty()) target.append_to_journal(forgotten);
}

void Copy::start() {
  std::uint16_t count = session_.stream_count();
  streams_.resize(count);
  running_ = count;
  for (std::uint16_t number = 1; number <= count; ++number)
    threads_.emplace_back([this, number] { run_stream(number); });
}

void Copy::run_stream(std::uint16_t number) {
  try {
    streams_[number - 1] = std::make_unique<Stream>(session_.open_stream(number), job_);
    streams_[number - 1]->run();
  } catch (...) {
    failure_.keep_current();
  }
  --running_;
}

void Copy::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Copy::check_pages() const {
  if (bad_pages_ == 0) return;
  fail(Kind::kCorrupted,
       fmt::format("{} pages of the donor have wrong checksums", bad_pages_.load()),
       "Repair the donor; or clone it as it is with --no-verify-checksums.");
}

// After all other files, before the end of the backup (trap 13).
std::string Copy::read_control_file() {
  std::string content = streams_.front()->read_small_file("global/pg_control", kControlFileSize);
  if (content.size() != kControlFileSize)
    fail(Kind::kCorrupted, "the donor's pg_control has a size that no server writes",
         "Check that both hosts run the same pg_standby_clone.");
  for (auto& stream : streams_) stream->close();
  streams_.clear();
  return content;
}

void Copy::add_to(Reading& reading) const {
  reading.bytes_done += counters_.bytes_done;
  reading.bytes_wire += counters_.bytes_wire;
  reading.files_done += counters_.files_done;
  reading.bytes_kept += counters_.bytes_kept;
  reading.streams = running_;
}

}  // namespace standby_clone
