// recorder.cpp: batches to the disk, then to the journal.
#include "helper/disk/recorder.h"

#include <chrono>
#include <fcntl.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

// From so many files on one sync of the file system is cheaper than one of each.
constexpr std::size_t kSyncEachMax = 32;

std::string_view directory_of(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

}  // namespace

Recorder::Recorder(const Target& target, std::function<void()> on_failure, Pace pace)
    : target_(target), on_failure_(std::move(on_failure)), pace_(pace) {
  thread_ = std::thread([this] {
    run();
    ended_ = true;
  });
}

Recorder::~Recorder() {
  request_end();
  thread_.join();
}

void Recorder::request_end() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

Recorder::Told& Recorder::told_of(std::uint32_t file, std::string_view path) {
  Told& told = told_[file];
  if (told.path.empty()) told.path = path;
  return told;
}

void Recorder::count(std::uint64_t bytes) {
  told_bytes_ += bytes;
  if (told_bytes_ >= pace_.bytes) wake_.notify_all();
}

void Recorder::chunk_written(std::uint32_t file, std::string_view path, const ChunkRecord& chunk) {
  std::lock_guard lock(mutex_);
  told_of(file, path).chunks.push_back(chunk);
  count(chunk.length);
}

void Recorder::file_written(std::uint32_t file, std::string_view path, std::uint64_t size,
                            std::uint32_t crc, std::uint64_t new_bytes) {
  std::lock_guard lock(mutex_);
  Told& told = told_of(file, path);
  told.is_complete = true;
  told.size = size;
  told.crc = crc;
  count(new_bytes);
}

void Recorder::file_removed(std::uint32_t file, std::string_view path) {
  std::lock_guard lock(mutex_);
  told_of(file, path).is_removed = true;
}

void Recorder::flush() {
  std::unique_lock lock(mutex_);
  hurry_ = true;
  wake_.notify_all();
  done_.wait(lock, [&] { return has_failed_ || (told_.empty() && !is_recording_); });
  hurry_ = false;
}

void Recorder::run() {
  std::unique_lock lock(mutex_);
  while (!has_failed_) {
    wake_.wait_for(lock, std::chrono::milliseconds(pace_.milliseconds), [&] {
      return stop_ || (hurry_ && !told_.empty()) || told_bytes_ >= pace_.bytes;
    });
    if (told_.empty()) {
      done_.notify_all();
      if (stop_) return;
      continue;
    }
    Batch batch;
    batch.swap(told_);
    told_bytes_ = 0;
    is_recording_ = true;
    lock.unlock();
    bool has_failed = false;
    try {
      record(batch);
    } catch (...) {
      has_failed = true;
      on_failure_();
    }
    lock.lock();
    has_failed_ = has_failed;
    is_recording_ = false;
    done_.notify_all();
  }
}

void Recorder::record(Batch& batch) {
  make_durable(batch);
  JournalRecords records;
  for (const auto& [file, told] : batch) {
    if (told.is_removed) {
      records.forget(told.path);
      continue;
    }
    if (named_.insert(file).second) records.file(file, told.path);
    if (told.is_complete)
      records.complete(file, told.size, told.crc);
    else if (!told.chunks.empty())
      records.chunks(file, told.chunks);
  }
  target_.append_to_journal(records);
}

void Recorder::make_durable(Batch& batch) {
  if (!target_.syncs()) return;
  if (batch.size() > kSyncEachMax && target_.sync_file_systems()) return;
  for (auto& [file, told] : batch)
    if (!told.is_removed && !target_.sync_file_if_there(told.path)) told.is_removed = true;
  sync_directories(batch);
}

void Recorder::sync_directories(const Batch& batch) {
  std::unordered_set<std::string_view> directories;
  for (const auto& [file, told] : batch)
    if (!named_.contains(file)) directories.insert(directory_of(told.path));
  for (std::string_view directory : directories) sync_directory_of(directory);
}

// A name is durable with all names on the way to it.
void Recorder::sync_directory_of(std::string_view path) {
  target_.sync_directory(std::string(path));
  while (!path.empty() && synced_.insert(std::string(path)).second) {
    path = directory_of(path);
    target_.sync_directory(std::string(path));
  }
}

}  // namespace standby_clone
