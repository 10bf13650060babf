// plan.h: who reads what, when. Streams pull pieces of files; large files come first
// and are shared, so that the end of the copy finds no stream idle.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "helper/plan/file_list.h"

namespace standby_clone {

// A run of chunks of one file. The last piece of a file may be short; an empty file is
// one empty piece.
struct Piece {
  std::uint32_t file = 0;  // index in FileList::files
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// Pages of one chunk, neighbours joined.
struct PageRange {
  std::uint32_t at = 0;  // within the chunk
  std::uint32_t length = 0;
};

// Whole chunks; small enough to share a relation segment between many streams.
inline constexpr std::uint64_t kPieceSize = 16 * std::uint64_t{protocol::kChunkSize};

// The same for files that are kept whole: a request holds the hashes of all its chunks.
inline constexpr std::uint64_t kWholePieceSize = 256 * std::uint64_t{protocol::kChunkSize};

class Plan {
 public:
  explicit Plan(const FileList& list);

  // Leaves out what needs no reading: a whole file, or chunks of one by their offsets. Before
  // the first next().
  void leave_out(std::uint32_t file);
  void leave_out(std::uint32_t file, const std::vector<std::uint64_t>& chunks);
  // Files that are no relations are to be read through one open: they are never shared.
  void keep_small_files_whole() { keeps_whole_ = true; }

  // The next piece for whoever asks; nothing when all are given out. Thread-safe.
  std::optional<Piece> next();

  // Nothing is to be given out now; something may be given back yet. Thread-safe.
  bool is_empty();

  // A piece, or what is left of one, that its stream could not read: for the next that
  // asks. Thread-safe.
  void give_back(const Piece& piece);

 private:
  bool is_left_out(std::uint64_t offset) const;
  std::uint64_t length_at(std::uint64_t offset) const;

  const FileList& list_;
  std::mutex mutex_;
  std::vector<std::uint32_t> order_;  // files, largest first
  std::vector<bool> left_out_whole_;  // by number of the file
  std::unordered_map<std::uint32_t, std::vector<bool>> left_out_;  // by number of the chunk
  bool keeps_whole_ = false;
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;
  std::vector<Piece> given_back_;
};

}  // namespace standby_clone
