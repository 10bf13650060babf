// active_files.cpp: putting files together from chunks that come in any order.
#include "helper/stream/active_files.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "protocol/crc32c.h"
#include "helper/base/failure.h"
#include "helper/standby/manifest.h"

namespace standby_clone {
namespace {

std::size_t chunk_count_of(std::uint64_t size) {
  std::uint64_t chunks = (size + protocol::kChunkSize - 1) / protocol::kChunkSize;
  return std::max<std::size_t>(chunks, 1);
}

std::string sha2_of(const std::string& path, ManifestChecksums algorithm) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) fail_on_disk("open file", path, errno);
  Sha2 digest(algorithm);
  std::vector<char> buffer(256 * 1024);
  while (true) {
    ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_disk("read file", path, errno);
    if (got == 0) return digest.hex();
    digest.add({buffer.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

ActiveFiles::ActiveFiles(FileList& list, const Target& target, ManifestChecksums checksums,
                         CopyCounters& counters)
    : list_(list), target_(target), checksums_(checksums), counters_(counters) {
  if (checksums_ != ManifestChecksums::kNone && checksums_ != ManifestChecksums::kCrc32c)
    sha2_.resize(list.files.size());
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
  }
  return *active.output;
}

void ActiveFiles::write(std::uint32_t file, std::uint64_t offset,
                        std::span<const std::byte> bytes) {
  auto active = find(file);
  output_of(*active, file).write(offset, bytes);
}

void ActiveFiles::chunk_done(std::uint32_t file, const ChunkResult& result) {
  auto active = find(file);
  {
    std::lock_guard lock(active->mutex);
    active->results.push_back(result);
    if (active->results.size() < active->chunk_count) return;
  }
  finish(file, *active);
  std::lock_guard lock(mutex_);
  active_.erase(file);
}

void ActiveFiles::finish(std::uint32_t file, Active& active) {
  File& entry = list_.files[file];
  auto& results = active.results;
  std::string path(list_.path(entry));
  counters_.files_done.fetch_add(1, std::memory_order_relaxed);
  // Dropped while it was read: what came of it is of no use, replay drops it again
  // (trap 17).
  if (std::any_of(results.begin(), results.end(), [](auto& chunk) { return chunk.is_gone; })) {
    entry.is_gone = true;
    if (active.output) target_.remove_file(path);
    return;
  }
  std::sort(results.begin(), results.end(),
            [](auto& left, auto& right) { return left.offset < right.offset; });
  // Where a file was cut short and grew again between two chunks, zeros stand between
  // them; replay fills what matters (trap 19).
  std::uint64_t length = 0;
  std::uint32_t crc = 0;
  for (const auto& chunk : results) {
    if (chunk.length == 0) continue;
    crc = protocol::crc32c_add_zeros(crc, chunk.offset - length);
    crc = protocol::crc32c_combine(crc, chunk.crc, chunk.length);
    length = chunk.offset + chunk.length;
  }
  output_of(active, file).finish(length, entry.mode & target_.file_mode());
  active.output.reset();
  entry.size = length;
  entry.crc = crc;
  if (!sha2_.empty()) sha2_[file] = sha2_of(target_.path() + "/" + path, checksums_);
}

}  // namespace standby_clone
