// file_list.h: what the donor has, compactly: some 60 bytes and the path for a file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame.h"

namespace standby_clone {

struct File {
  std::uint64_t size = 0;      // as listed; after the copy: as written
  std::int64_t modified = 0;   // seconds since 1970
  std::uint32_t path_offset = 0;
  std::uint16_t path_size = 0;
  std::uint16_t mode = 0;
  std::uint32_t crc = 0;       // CRC32C of the content, after the copy
  bool is_relation = false;
  bool has_crc = true;         // not where parts of it stayed unread
  bool is_gone = false;        // vanished on the donor before it was read
};

struct Tablespace {
  std::string path;    // pg_tblspc/OID
  std::string target;  // on the donor
};

struct Skipped {
  std::string path;
  std::string why;  // "is a link", as the donor says it
};

class FileList {
 public:
  // Adds the entries of one batch. Anything a donor of ours would not send (a path that leaves
  // the target, a link outside pg_tblspc, a name that is the clone's own) is kCorrupted.
  void add_batch(const protocol::Entries& batch);
  // Of the whole: the donor's own count must be what came; each name was said once, and is in a directory
  // that was said before it.
  void check_end(const protocol::ListEnd& end) const;

  // Takes files out that are not to be copied. Before any of them is known by its index.
  void leave_out(const std::function<bool(std::string_view path)>& is_one);

  std::string_view path(const File& file) const {
    return std::string_view(paths_).substr(file.path_offset, file.path_size);
  }

  std::vector<File> files;
  std::vector<std::string> directories;  // a directory before what is in it
  std::vector<Tablespace> tablespaces;
  std::vector<Skipped> skipped;          // what of others' does not travel
  std::uint64_t bytes_total = 0;         // pg_control counted too
  bool has_control_file = false;

 private:
  void add(const protocol::Entry& entry);
  void check_names() const;

  std::string paths_;
  std::uint64_t entry_count_ = 0;
};

}  // namespace standby_clone
