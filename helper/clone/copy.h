// copy.h: the copy of all files: the streams with their threads, and what they share.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "helper/base/first_failure.h"
#include "helper/clone/session.h"
#include "helper/disk/recorder.h"
#include "helper/disk/target.h"
#include "helper/options/options.h"
#include "helper/plan/plan.h"
#include "helper/progress/progress.h"
#include "helper/stream/stream.h"
#include "helper/stream/stream_growth.h"

namespace standby_clone {

class Copy {
 public:
  // `list` is filled in with what was written: sizes, CRCs, files that are gone.
  Copy(const Options& options, Session& session, FileList& list, const Target& target,
       Progress& progress, StopSource& stop, FirstFailure& failure);
  // Joins the threads; whoever gives up requests the stop first.
  ~Copy() { join(); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  // Before start(), on any thread: what an earlier run of the same session has made durable. Looks at
  // each of these files, which can take long.
  void adopt(const KnownFiles& known, const Target& target);
  // Before start(): how files become current that are here; otherwise they are compared.
  void set_ways(Ways&& ways);
  void start();
  // A few times a second, by the thread that started it: adds streams while that helps.
  void turn();
  bool is_done() const { return running_ == 0; }
  void join();
  // After a stop was requested: no stream writes any more, and nothing is on its way to the journal.
  bool is_at_rest();
  // Stops the asking, or lets it go on.
  void set_paused(bool is_paused) { is_paused_ = is_paused; }

  // After is_done() without a failure: kCorrupted if pages of the donor are.
  void check_pages() const;
  // After is_done() without a failure: pg_control, the last that is read (trap 13).
  const std::string& control_file() const { return control_file_; }

  // What streams were waiting for whose connections broke without a word and are not there again: of
  // a donor that crashed, the file that its process was at.
  std::set<std::string> broken_over() const;

  std::string sha2(std::uint32_t file) const { return files_.sha2(file); }
  // What has come so far. Any thread.
  void add_to(Reading& reading) const;

 private:
  void add_stream();
  void run_stream(std::uint16_t number);
  void work(std::uint16_t number, Backoff& backoff, std::unique_ptr<Stream>& stream,
            const std::function<void(Stream&)>& task, const std::function<bool()>& is_needless);
  bool is_spared(std::uint16_t number, const Failure& failure);
  void note_break(std::uint16_t number, const Stream& stream, const Failure& failure);
  void note_silence(std::string_view path);
  void note_unreliable(std::string_view path);
  void note_bad_pages(const std::string& path, std::uint32_t count, std::uint32_t block);
  void read_control_file(Stream& stream);
  Bounds bounds() const;

  Session& session_;
  Progress& progress_;
  const StopSource& stop_;
  FirstFailure& failure_;
  Plan plan_;
  Ways ways_;
  CopyCounters counters_;
  std::unique_ptr<Recorder> recorder_;  // none with --no-sync
  ActiveFiles files_;
  std::atomic<bool> is_paused_{false};
  CopyJob job_;
  StreamGrowth growth_;
  const bool grows_;
  const std::chrono::steady_clock::time_point started_;
  std::atomic<bool> is_refused_{false};  // a further stream, by the donor
  std::atomic<bool> has_opened_{false};  // one stream at least, once
  std::vector<std::thread> threads_;
  std::string control_file_;
  mutable std::mutex notes_mutex_;  // for the four below
  std::map<std::uint16_t, std::string> broken_over_;  // by stream
  std::map<std::string, unsigned, std::less<>> silent_files_;  // connections given up over each
  std::map<std::string, unsigned> damaged_files_;  // lines that have named each
  std::set<std::string, std::less<>> unreliable_files_;  // that were named
  std::atomic<unsigned> reading_{0};  // streams that have files to read yet
  std::atomic<unsigned> running_{0};
  std::atomic<std::uint64_t> bad_pages_{0};
};

}  // namespace standby_clone
