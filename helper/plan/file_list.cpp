// file_list.cpp: reading the donor's list with the suspicion it deserves.
#include "helper/plan/file_list.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <numeric>
#include <unordered_set>

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

// What a clone writes by itself, or what would make the directory another thing than a clone: a server's
// lock, an end of recovery.
constexpr std::array<std::string_view, 6> kOurNames = {"backup_label",    "backup_manifest",
                                                       "postmaster.pid",  "recovery.signal",
                                                       "standby.signal",  "tablespace_map"};

bool is_ours(std::string_view path) {
  constexpr std::string_view kPrefix = "pg_standby_clone.";
  return path.starts_with(kPrefix) || path.starts_with("global/" + std::string(kPrefix)) ||
         std::find(kOurNames.begin(), kOurNames.end(), path) != kOurNames.end();
}

std::string_view parent_of(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
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
  if (is_ours(entry.path))
    distrust(fmt::format("\"{}\" is a name that the clone itself gives", entry.path));
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
  check_names();
}

void FileList::check_names() const {
  std::unordered_set<std::string_view> known;
  auto check = [&](std::string_view path) {
    if (std::string_view parent = parent_of(path); !parent.empty() && !known.contains(parent))
      distrust(fmt::format("\"{}\" is in a directory that is not in the list", path));
  };
  auto twice = [](std::string_view path) { distrust(fmt::format("\"{}\" is said twice", path)); };
  auto add_directory = [&](std::string_view path) {
    check(path);
    if (!known.insert(path).second) twice(path);
  };
  // A tablespace's own directories come after all others.
  auto is_in_tablespace = [](const std::string& path) { return path.starts_with("pg_tblspc/"); };
  for (const auto& path : directories)
    if (!is_in_tablespace(path)) add_directory(path);
  for (const auto& tablespace : tablespaces) add_directory(tablespace.path);
  for (const auto& path : directories)
    if (is_in_tablespace(path)) add_directory(path);
  check("global/pg_control");

  std::vector<std::uint32_t> order(files.size());  // 4 bytes a file, for as long as this lasts
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::uint32_t left, std::uint32_t right) {
    return path(files[left]) < path(files[right]);
  });
  std::string_view before, parent;
  for (std::uint32_t index : order) {
    std::string_view name = path(files[index]);
    if (name == before || known.contains(name)) twice(name);
    if (parent_of(name) != parent) check(name);
    parent = parent_of(before = name);
  }
}

void FileList::leave_out(const std::function<bool(std::string_view)>& is_one) {
  std::erase_if(files, [&](const File& file) {
    bool goes = is_one(path(file));
    if (goes) bytes_total -= file.size;
    return goes;
  });
}

}  // namespace standby_clone
