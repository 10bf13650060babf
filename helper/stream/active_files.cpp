// active_files.cpp: putting files together from chunks that come in any order.
#include "helper/stream/active_files.h"

#include <algorithm>
#include <fmt/format.h>

#include "helper/base/failure.h"
#include "helper/standby/manifest.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

std::size_t chunk_count_of(std::uint64_t size) {
  std::uint64_t chunks = (size + protocol::kChunkSize - 1) / protocol::kChunkSize;
  return std::max<std::size_t>(chunks, 1);
}

}  // namespace

ActiveFiles::ActiveFiles(FileList& list, const Target& target, ManifestChecksums checksums,
                         CopyCounters& counters, Recorder* recorder)
    : list_(list),
      target_(target),
      checksums_(checksums),
      counters_(counters),
      recorder_(recorder) {
  if (checksums_ != ManifestChecksums::kNone && checksums_ != ManifestChecksums::kCrc32c)
    sha2_.resize(list.files.size());
}

void ActiveFiles::adopt(std::uint32_t file, const KnownFile& known) {
  std::uint64_t bytes = 0;
  if (known.is_complete) {
    File& entry = list_.files[file];
    entry.size = known.size;
    entry.crc = known.crc;
    bytes = known.size;
    ++counters_.files_done;
  } else {
    auto active = find(file);
    for (const auto& chunk : known.chunks) {
      active->results.push_back({.offset = chunk.offset, .length = chunk.length, .crc = chunk.crc, .is_kept = true});
      bytes += chunk.length;
    }
    // It died between the last chunk and the record of the whole.
    if (active->results.size() == active->chunk_count) {
      finish(file, *active);
      active_.erase(file);
    }
  }
  counters_.bytes_done += bytes;
  counters_.bytes_kept += bytes;
}

std::shared_ptr<ActiveFiles::Active> ActiveFiles::find(std::uint32_t file) {
  std::lock_guard lock(mutex_);
  auto& active = active_[file];
  if (!active) {
    active = std::make_shared<Active>();
    active->chunk_count = chunk_count_of(list_.files[file].size);
  }
  return active;
}

OutputFile& ActiveFiles::output_of(Active& active, std::uint32_t file) {
  std::lock_guard lock(active.mutex);
  if (!active.output) {
    const File& entry = list_.files[file];
    active.output = target_.create_file(std::string(list_.path(entry)), entry.size);
    check_kept(file, active);
  }
  return *active.output;
}

// Of a file that vanished when it was looked at, or got a second name, what should stay would be zeros: nothing may
// ever trust the new one.
void ActiveFiles::check_kept(std::uint32_t file, Active& active) {
  auto& results = active.results;
  if (!active.output || !active.output->is_new() ||
      std::none_of(results.begin(), results.end(), [](auto& chunk) { return chunk.is_kept; }))
    return;
  std::string path(list_.path(list_.files[file]));
  target_.remove_file(path);
  if (recorder_ != nullptr) recorder_->file_removed(file, path);
  fail(Kind::kTargetRefused,
       fmt::format("\"{}\" is another file than when it was looked at for this clone", target_.absolute(path)),
       "Something else removes files of this directory, or links them: end that, then run the clone again.");
}

void ActiveFiles::write(std::uint32_t file, std::uint64_t offset,
                        std::span<const std::byte> bytes) {
  auto active = find(file);
  output_of(*active, file).write(offset, bytes);
}

bool ActiveFiles::holds_zeros(std::uint32_t file) {
  if (!target_.is_used()) return true;
  auto active = find(file);
  return output_of(*active, file).is_new();
}

std::optional<LocalFile> ActiveFiles::open_local(std::uint32_t file) const {
  return target_.open_local(std::string(list_.path(list_.files[file])));
}

void ActiveFiles::chunk_done(std::uint32_t file, const ChunkResult& result) {
  auto active = find(file);
  {
    std::lock_guard lock(active->mutex);
    active->results.push_back(result);
    check_kept(file, *active);
    if (active->results.size() < active->chunk_count) {
      if (recorder_ != nullptr && !result.is_gone && !result.is_bad && !result.is_unread)
        recorder_->chunk_written(file, list_.path(list_.files[file]),
                                 {result.offset, result.length, result.crc});
      return;
    }
  }
  finish(file, *active);
  std::lock_guard lock(mutex_);
  active_.erase(file);
}

void ActiveFiles::finish(std::uint32_t file, Active& active) {
  File& entry = list_.files[file];
  auto& results = active.results;
  std::string path(list_.path(entry));
  std::uint64_t counted = 0;
  for (const auto& chunk : results) counted += chunk.length;
  // Dropped while it was read: what came of it is of no use, replay drops it again (trap 17).
  // What was here before must go too: its number may come again (trap 83).
  if (std::any_of(results.begin(), results.end(), [](auto& chunk) { return chunk.is_gone; })) {
    entry.is_gone = true;
    ++counters_.files_gone;
    counters_.bytes_done -= counted;
    counters_.bytes_grown -= static_cast<std::int64_t>(entry.size);
    if (active.output || target_.is_used()) target_.remove_file(path);
    if (recorder_ != nullptr) recorder_->file_removed(file, path);
    return;
  }
  ++counters_.files_done;
  counters_.bytes_grown += static_cast<std::int64_t>(counted) - static_cast<std::int64_t>(entry.size);
  bool is_bad = std::any_of(results.begin(), results.end(), [](auto& chunk) { return chunk.is_bad; });
  entry.has_crc = std::none_of(results.begin(), results.end(), [](auto& chunk) { return chunk.is_unread; });
  std::uint32_t last_length = results.back().length;
  std::sort(results.begin(), results.end(),
            [](auto& left, auto& right) { return left.offset < right.offset; });
  put_together(entry, output_of(active, file), results);
  active.output.reset();
  if (!sha2_.empty()) sha2_[file] = checksum_of_file(target_.tree(), path, checksums_);
  // What the journal does not name is compared by a later run.
  if (recorder_ != nullptr && !is_bad && entry.has_crc)
    recorder_->file_written(file, path, entry.size, entry.crc, last_length);
}

// Where a file was cut short and grew again between two chunks, zeros stand between them;
// replay fills what matters (trap 19).
void ActiveFiles::put_together(File& entry, OutputFile& output,
                               const std::vector<ChunkResult>& results) {
  std::uint64_t length = 0;
  std::uint32_t crc = 0;
  for (const auto& chunk : results) {
    if (chunk.length == 0) continue;
    if (!output.is_new()) output.write_zeros(length, chunk.offset - length);
    crc = protocol::crc32c_add_zeros(crc, chunk.offset - length);
    crc = protocol::crc32c_combine(crc, chunk.crc, chunk.length);
    length = chunk.offset + chunk.length;
  }
  output.finish(length, target_.file_mode(entry.mode));
  entry.size = length;
  entry.crc = entry.has_crc ? crc : 0;
}

// Of a file that an earlier run has completed it is computed when it is asked for.
std::string ActiveFiles::sha2(std::uint32_t file) const {
  const std::string& known = sha2_.at(file);
  if (!known.empty() || list_.files[file].is_gone) return known;
  return checksum_of_file(target_.tree(), std::string(list_.path(list_.files[file])), checksums_);
}

}  // namespace standby_clone
