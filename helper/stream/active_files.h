// active_files.h: the files being written now, by one or many streams. A file is opened
// by its first chunk and finished by its last, whoever brings them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

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
};

struct CopyCounters {
  std::atomic<std::uint64_t> bytes_done{0};
  std::atomic<std::uint64_t> bytes_wire{0};
  std::atomic<std::uint64_t> files_done{0};
};

class ActiveFiles {
 public:
  ActiveFiles(FileList& list, const Target& target, ManifestChecksums checksums,
              CopyCounters& counters);

  // Writes the bytes of a chunk; the file is made on the first call. Thread-safe.
  void write(std::uint32_t file, std::uint64_t offset, std::span<const std::byte> bytes);

  // A chunk has been answered to its end. With the last one of a file, the file is
  // finished: cut to what came, its CRC put together, or removed if it is gone. Thread-safe.
  void chunk_done(std::uint32_t file, const ChunkResult& result);

  // SHA-2 of each file, in hex, where the manifest wants one.
  const std::string& sha2(std::uint32_t file) const { return sha2_.at(file); }

 private:
  struct Active {
    std::mutex mutex;
    std::unique_ptr<OutputFile> output;
    std::vector<ChunkResult> results;
    std::size_t chunk_count = 0;
  };

  std::shared_ptr<Active> find(std::uint32_t file);
  OutputFile& output_of(Active& active, std::uint32_t file);
  void finish(std::uint32_t file, Active& active);

  FileList& list_;
  const Target& target_;
  const ManifestChecksums checksums_;
  CopyCounters& counters_;
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Active>> active_;
  std::vector<std::string> sha2_;
};

}  // namespace standby_clone
