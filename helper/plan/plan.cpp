// plan.cpp: largest first, in pieces.
#include "helper/plan/plan.h"

#include <algorithm>
#include <numeric>

namespace standby_clone {

Plan::Plan(const FileList& list)
    : list_(list), order_(list.files.size()), left_out_whole_(list.files.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  // Stable: files of one size stay in the order of the donor's directories.
  std::stable_sort(order_.begin(), order_.end(), [&](std::uint32_t left, std::uint32_t right) {
    return list.files[left].size > list.files[right].size;
  });
}

void Plan::leave_out(std::uint32_t file) { left_out_whole_[file] = true; }

void Plan::leave_out(std::uint32_t file, const std::vector<std::uint64_t>& chunks) {
  auto& left_out = left_out_[file];
  left_out.resize(list_.files[file].size / protocol::kChunkSize + 1);
  for (std::uint64_t offset : chunks) {
    std::uint64_t chunk = offset / protocol::kChunkSize;
    if (chunk < left_out.size()) left_out[chunk] = true;
  }
}

bool Plan::is_left_out(std::uint64_t offset) const {
  if (left_out_whole_[order_[at_]]) return true;
  auto found = left_out_.find(order_[at_]);
  return found != left_out_.end() && found->second[offset / protocol::kChunkSize];
}

// As far as one piece goes from here, up to what is left out.
std::uint64_t Plan::length_at(std::uint64_t offset) const {
  const File& file = list_.files[order_[at_]];
  std::uint64_t most = keeps_whole_ && !file.is_relation ? kWholePieceSize : kPieceSize;
  std::uint64_t end = std::min(file.size, offset + most);
  for (std::uint64_t at = offset; at < end; at += protocol::kChunkSize)
    if (is_left_out(at)) return at - offset;
  return end - offset;
}

std::optional<Piece> Plan::next() {
  std::lock_guard lock(mutex_);
  if (!given_back_.empty()) {
    Piece piece = given_back_.back();
    given_back_.pop_back();
    return piece;
  }
  while (at_ < order_.size()) {
    std::uint64_t size = list_.files[order_[at_]].size;
    Piece piece{order_[at_], offset_, 0};
    bool skips = is_left_out(offset_);
    if (skips)
      offset_ = std::min<std::uint64_t>(size, offset_ + protocol::kChunkSize);
    else
      offset_ += piece.length = length_at(offset_);
    if (offset_ == size) {
      ++at_;
      offset_ = 0;
    }
    if (!skips) return piece;
  }
  return std::nullopt;
}

bool Plan::is_empty() {
  std::lock_guard lock(mutex_);
  return given_back_.empty() && at_ == order_.size();
}

void Plan::give_back(const Piece& piece) {
  std::lock_guard lock(mutex_);
  given_back_.push_back(piece);
}

}  // namespace standby_clone
