// known_files.cpp: a table of numbers, at most half full.
#include "helper/disk/known_files.h"

#include <algorithm>
#include <functional>

namespace standby_clone {
namespace {

constexpr std::uint32_t kFree = UINT32_MAX;
constexpr std::size_t kSlotsMin = 64;  // and a power of two

}  // namespace

std::size_t KnownFiles::slot_of(std::string_view path) const {
  for (std::size_t at = std::hash<std::string_view>{}(path);; ++at) {
    std::size_t slot = at & (slots_.size() - 1);
    if (slots_[slot] == kFree || path_of(files_[slots_[slot]]) == path) return slot;
  }
}

void KnownFiles::make_slots() {
  slots_.assign(std::max(kSlotsMin, slots_.size() * 2), kFree);
  for (std::uint32_t number = 0; number < files_.size(); ++number) slots_[slot_of(path_of(files_[number]))] = number;
}

std::uint32_t KnownFiles::number_of(std::string_view path) {
  if (files_.size() >= slots_.size() / 2) make_slots();
  std::uint32_t& number = slots_[slot_of(path)];
  if (number != kFree) return number;
  number = static_cast<std::uint32_t>(files_.size());
  files_.push_back({{}, paths_.size()});
  paths_.append(path).push_back('\0');
  return number;
}

const KnownFile* KnownFiles::find(std::string_view path) const {
  if (files_.empty()) return nullptr;
  std::uint32_t number = slots_[slot_of(path)];
  return number != kFree && files_[number].file.is_known() ? &files_[number].file : nullptr;
}

void KnownFiles::forget(std::string_view path) {
  if (auto* known = const_cast<KnownFile*>(find(path))) *known = {};
}

std::size_t KnownFiles::count() const {
  return static_cast<std::size_t>(
      std::count_if(files_.begin(), files_.end(), [](const Entry& entry) { return entry.file.is_known(); }));
}

}  // namespace standby_clone
