// known_files.h: what an earlier run has made durable, by path. There may be millions: some 80 bytes and the path
// for each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace standby_clone {

struct ChunkRecord {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t crc = 0;  // CRC32C of these bytes
};

struct KnownFile {
  std::uint64_t size = 0;  // of a complete one, with the CRC of all of it
  std::uint32_t crc = 0;
  bool is_complete = false;
  std::vector<ChunkRecord> chunks;  // of one that is not complete; in order of offset

  // Something of it is durable.
  bool is_known() const { return is_complete || !chunks.empty(); }
};

// Paths are without NUL. A path that was said once keeps its number, known or not.
class KnownFiles {
 public:
  std::uint32_t number_of(std::string_view path);
  KnownFile& operator[](std::uint32_t number) { return files_[number].file; }
  // None: nothing of it is known.
  const KnownFile* find(std::string_view path) const;
  void forget(std::string_view path);

  // Of those that are known.
  template <class Visit>  // (std::string_view path, const KnownFile& file)
  void for_each(const Visit& visit) const {
    for (const auto& entry : files_)
      if (entry.file.is_known()) visit(path_of(entry), entry.file);
  }
  std::size_t count() const;

 private:
  struct Entry {
    KnownFile file;
    std::uint64_t path_offset = 0;
  };

  std::string_view path_of(const Entry& entry) const { return paths_.c_str() + entry.path_offset; }
  std::size_t slot_of(std::string_view path) const;
  void make_slots();

  std::string paths_;  // each with a NUL at its end
  std::vector<Entry> files_;
  std::vector<std::uint32_t> slots_;  // numbers by the hash of the path, each in the next free one
};

}  // namespace standby_clone
