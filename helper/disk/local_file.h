// local_file.h: one file that is on disk already, to be compared.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "helper/disk/tree.h"

namespace standby_clone {

class LocalFile {
 public:
  // None if there is no such file, or what has the name is a link, no regular file, or a file
  // with a second name: that may be somebody else's.
  static std::optional<LocalFile> open(const Tree& tree, const std::string& path);

  std::uint64_t size() const { return size_; }
  // Asks the system to fetch what will be read soon.
  void expect(std::uint64_t offset, std::uint64_t length) const;
  // Bytes read: fewer than asked for at the end of the file only.
  std::size_t read(std::uint64_t offset, std::span<std::byte> to) const;

 private:
  LocalFile(UniqueFd file, std::uint64_t size, std::string shown_path)
      : file_(std::move(file)), size_(size), shown_path_(std::move(shown_path)) {}

  UniqueFd file_;
  std::uint64_t size_;
  std::string shown_path_;
};

}  // namespace standby_clone
