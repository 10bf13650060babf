// active_files.h: the files being written now, by one or many streams. A file is opened
// by its first chunk and finished by its last, whoever brings them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "helper/disk/recorder.h"
#include "helper/disk/target.h"
#include "helper/options/options.h"
#include "helper/plan/plan.h"

namespace standby_clone {

// What came of one chunk.
struct ChunkResult {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;  // bytes that came, less than asked for at the end of a file
  std::uint32_t crc = 0;     // CRC32C of them
  bool is_gone = false;      // the file is not on the donor any more
  bool is_bad = false;       // pages with wrong checksums: not written, never to be trusted
  bool is_unread = false;    // what stays of it was not looked at: its CRC is not known
  bool is_kept = false;      // some of it was here, and stays
};

struct CopyCounters {
  std::atomic<std::uint64_t> bytes_done{0};
  std::atomic<std::uint64_t> bytes_wire{0};
  std::atomic<std::uint64_t> bytes_kept{0};  // of bytes_done: were here already
  std::atomic<std::uint64_t> files_done{0};
  // What the donor has by now of the files that are finished, less what its list said; those that vanished.
  std::atomic<std::int64_t> bytes_grown{0};
  std::atomic<std::uint64_t> files_gone{0};
  // Of the time of all streams: on files, waiting for the donor, on the rest.
  std::atomic<std::uint64_t> writing_us{0}, waiting_us{0}, computing_us{0};
};

class ActiveFiles {
 public:
  // `recorder` may be none: then nothing is promised to a later run.
  ActiveFiles(FileList& list, const Target& target, ManifestChecksums checksums,
              CopyCounters& counters, Recorder* recorder = nullptr);

  // Chunks of a file that are durable from an earlier run; all of it, if it is complete. Before
  // the streams start.
  void adopt(std::uint32_t file, const KnownFile& known);

  // Writes the bytes of a chunk, or a part of it; the file is made on the first call. Thread-safe.
  void write(std::uint32_t file, std::uint64_t offset, std::span<const std::byte> bytes);
  // Zeros need not be written to a file that this run has made: it reads as zeros there (trap 84).
  bool holds_zeros(std::uint32_t file);

  // A chunk has been answered to its end. With the last one of a file, the file is
  // finished: cut to what came, its CRC put together, or removed if it is gone. Thread-safe.
  void chunk_done(std::uint32_t file, const ChunkResult& result);

  // The file as it is on disk, if it may be compared.
  std::optional<LocalFile> open_local(std::uint32_t file) const;

  // SHA-2 of a file, in hex, where the manifest wants one.
  std::string sha2(std::uint32_t file) const;

 private:
  struct Active {
    std::mutex mutex;
    std::unique_ptr<OutputFile> output;
    std::vector<ChunkResult> results;
    std::size_t chunk_count = 0;
  };

  std::shared_ptr<Active> find(std::uint32_t file);
  OutputFile& output_of(Active& active, std::uint32_t file);
  void check_kept(std::uint32_t file, Active& active);  // its mutex is held
  void finish(std::uint32_t file, Active& active);
  void put_together(File& entry, OutputFile& output, const std::vector<ChunkResult>& results);

  FileList& list_;
  const Target& target_;
  const ManifestChecksums checksums_;
  CopyCounters& counters_;
  Recorder* const recorder_;
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Active>> active_;
  std::vector<std::string> sha2_;
};

}  // namespace standby_clone
