// recorder.h: what streams have written becomes durable, then is recorded in the journal. In
// that order, whatever happens between any two steps: content, then names, then the record
// (faulty_disk_test.cpp proves it). In a thread of its own, so that no stream waits for a disk
// to settle.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "helper/disk/target.h"

namespace standby_clone {

class Recorder {
 public:
  struct Pace {
    std::uint64_t bytes = 64 * 1024 * 1024;  // so much is recorded together
    int milliseconds = 1000;                 // at the latest
  };

  // `on_failure` is called in the thread, within a catch block, at most once; from then on
  // nothing is recorded.
  Recorder(const Target& target, std::function<void()> on_failure, Pace pace);
  // Records what it still can, unless something failed.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // A chunk has been written, or was found equal. Any thread.
  void chunk_written(std::uint32_t file, std::string_view path, const ChunkRecord& chunk);
  // All of a file has, it has its length and mode, and nobody will write to it again.
  void file_written(std::uint32_t file, std::string_view path, std::uint64_t size,
                    std::uint32_t crc, std::uint64_t new_bytes);
  // The file has been removed.
  void file_removed(std::uint32_t file, std::string_view path);

  // What has been told so far is recorded on return.
  void flush();

  // Nothing more will be told. The thread records what it still can, and has ended then.
  void request_end();
  bool has_ended() const { return ended_.load(); }

 private:
  struct Told {
    std::string path;
    std::vector<ChunkRecord> chunks;
    bool is_complete = false, is_removed = false;
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
  };
  using Batch = std::unordered_map<std::uint32_t, Told>;

  Told& told_of(std::uint32_t file, std::string_view path);
  void count(std::uint64_t bytes);
  void run();
  void record(Batch& batch);
  void make_durable(Batch& batch);
  void sync_directories(const Batch& batch);
  void sync_directory_of(std::string_view path);

  const Target& target_;
  const std::function<void()> on_failure_;
  const Pace pace_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, done_;
  Batch told_;
  std::uint64_t told_bytes_ = 0;
  bool stop_ = false, hurry_ = false, is_recording_ = false, has_failed_ = false;

  std::atomic<bool> ended_{false};

  // The thread's own.
  std::unordered_set<std::uint32_t> named_;         // files the journal knows by number
  std::unordered_set<std::string> synced_;          // directories whose own names are durable
  std::thread thread_;
};

}  // namespace standby_clone
