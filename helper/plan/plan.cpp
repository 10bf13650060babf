// plan.cpp: largest first, in pieces.
#include "helper/plan/plan.h"

#include <algorithm>
#include <numeric>

namespace standby_clone {

Plan::Plan(const FileList& list) : list_(list), order_(list.files.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  // Stable: files of one size stay in the order of the donor's directories.
  std::stable_sort(order_.begin(), order_.end(), [&](std::uint32_t left, std::uint32_t right) {
    return list.files[left].size > list.files[right].size;
  });
}

std::optional<Piece> Plan::next() {
  std::lock_guard lock(mutex_);
  if (at_ == order_.size()) return std::nullopt;
  Piece piece;
  piece.file = order_[at_];
  piece.offset = offset_;
  std::uint64_t size = list_.files[piece.file].size;
  piece.length = std::min(kPieceSize, size - offset_);
  offset_ += piece.length;
  if (offset_ == size) {
    ++at_;
    offset_ = 0;
  }
  return piece;
}

}  // namespace standby_clone
