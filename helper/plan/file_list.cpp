// file_list.cpp: reading the donor's list with the suspicion it deserves.
#include "helper/plan/file_list.h"

#include <algorithm>
#include <fmt/format.h>

#include "helper/base/failure.h"
#include "protocol/path.h"

namespace standby_clone {
namespace {

using protocol::EntryKind;

constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 50;

// No cluster has as many; a list without end must not take all memory.
constexpr std::uint64_t kFilesMax = 1 << 26;
constexpr std::uint64_t kOthersMax = 1 << 20;  // directories, tablespaces, what does not travel

[[noreturn]] void distrust(const std::string& why) {
  fail(Kind::kCorrupted, "the donor's list of files cannot be trusted: " + why,
       "Check that both hosts run the same pg_standby_clone.");
}

bool is_tablespace_path(std::string_view path) {
  constexpr std::string_view kPrefix = "pg_tblspc/";
  if (!path.starts_with(kPrefix) || path.size() == kPrefix.size()) return false;
  return std::all_of(path.begin() + kPrefix.size(), path.end(),
                     [](char letter) { return letter >= '0' && letter <= '9'; });
}

}  // namespace

void FileList::add_batch(const protocol::Entries& batch) {
  protocol::Bytes rest = batch.entries;
  protocol::Entry entry;
  while (protocol::next_entry(rest, entry)) add(entry);
  if (!rest.empty()) distrust("an entry is malformed");
}

void FileList::add(const protocol::Entry& entry) {
  ++entry_count_;
  if (files.size() >= kFilesMax ||
      directories.size() + tablespaces.size() + skipped.size() >= kOthersMax)
    distrust("it has no end");
  if (!protocol::is_clean_path(entry.path))
    distrust(fmt::format("path \"{}\" leaves the directory", entry.path));
  if (entry.size > kSizeMax) distrust(fmt::format("size of \"{}\"", entry.path));
  std::string path(entry.path);
  switch (entry.kind) {
    case EntryKind::kDirectory:
    case EntryKind::kInPlaceTablespace:
      directories.push_back(path);
      return;
    case EntryKind::kTablespace:
      if (!is_tablespace_path(path) || entry.target.empty() || entry.target.front() != '/' ||
          entry.target.find('\0') != std::string_view::npos)
        distrust(fmt::format("link \"{}\" to \"{}\"", path, entry.target));
      tablespaces.push_back({path, std::string(entry.target)});
      return;
    case EntryKind::kSkipped:
      // Words for a terminal: a clean path has no control bytes either.
      if (!protocol::is_clean_path(entry.target)) distrust(fmt::format("why \"{}\" stays behind", path));
      skipped.push_back({path, std::string(entry.target)});
      return;
    case EntryKind::kControlFile:
      if (path != "global/pg_control") distrust("pg_control in another place");
      has_control_file = true;
      bytes_total += entry.size;
      return;
    case EntryKind::kFile:
    case EntryKind::kRelationFile: {
      if (path == "global/pg_control") distrust("pg_control as an ordinary file");
      File file;
      file.size = entry.size;
      file.modified = entry.modified;
      file.path_offset = static_cast<std::uint32_t>(paths_.size());
      file.path_size = static_cast<std::uint16_t>(path.size());
      file.mode = entry.mode;
      file.is_relation = entry.kind == EntryKind::kRelationFile;
      if (paths_.size() + path.size() > UINT32_MAX) distrust("it is too long");
      paths_ += path;
      files.push_back(file);
      bytes_total += entry.size;
      return;
    }
  }
  distrust("an entry of unknown kind");
}

void FileList::check_end(const protocol::ListEnd& end) const {
  if (end.entry_count != entry_count_)
    distrust(fmt::format("{} entries announced, {} came", end.entry_count, entry_count_));
  if (!has_control_file) distrust("pg_control is missing");
}

void FileList::leave_out(const std::function<bool(std::string_view)>& is_one) {
  std::erase_if(files, [&](const File& file) {
    bool goes = is_one(path(file));
    if (goes) bytes_total -= file.size;
    return goes;
  });
}

}  // namespace standby_clone
