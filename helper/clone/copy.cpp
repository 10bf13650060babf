// copy.cpp: running the streams.
#include "helper/clone/copy.h"

#include <fmt/format.h>

namespace standby_clone {
namespace {

constexpr std::uint32_t kControlFileSize = 8192;  // PG_CONTROL_FILE_SIZE of all versions

}  // namespace

Copy::Copy(const Options& options, const Session& session, FileList& list, const Target& target,
           Progress& progress, StopSource& stop, FirstFailure& failure)
    : session_(session),
      progress_(progress),
      failure_(failure),
      plan_(list),
      files_(list, target, options.manifest_checksums, counters_),
      job_{list, plan_, files_, counters_, stop,
           [this](const std::string& path, std::uint32_t count, std::uint32_t block) {
             bad_pages_ += count;
             progress_.warn(
                 fmt::format("checksum verification failed in file \"{}\", block {}{}", path, block,
                             count > 1 ? fmt::format(" and {} more", count - 1) : ""));
           },
           &is_paused_} {}

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
  reading.streams = running_;
}

}  // namespace standby_clone
