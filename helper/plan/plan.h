// plan.h: who reads what, when. Streams pull pieces of files; large files come first
// and are shared, so that the end of the copy finds no stream idle.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
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

// Whole chunks; small enough to share a relation segment between many streams.
inline constexpr std::uint64_t kPieceSize = 16 * std::uint64_t{protocol::kChunkSize};

class Plan {
 public:
  explicit Plan(const FileList& list);

  // The next piece for whoever asks; nothing when all are given out. Thread-safe.
  std::optional<Piece> next();

 private:
  const FileList& list_;
  std::mutex mutex_;
  std::vector<std::uint32_t> order_;  // files, largest first
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace standby_clone
