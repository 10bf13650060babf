// local_file.cpp: opening with suspicion, reading in large pieces.
#include "helper/disk/local_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/failure.h"

namespace standby_clone {

std::optional<LocalFile> LocalFile::open(const Tree& tree, const std::string& path) {
  // A pipe must not hold us up.
  UniqueFd file = tree.open(path, O_RDONLY | O_NONBLOCK);
  if (!file) {
    // What cannot be read can still be replaced.
    if (errno == ENOENT || errno == ELOOP || errno == EACCES || errno == ENXIO || errno == ENOTDIR)
      return std::nullopt;
    fail_on_disk("open file", tree.shown(path), errno);
  }
  struct stat status;
  if (fstat(file.get(), &status) != 0) fail_on_disk("stat file", tree.shown(path), errno);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return std::nullopt;
  return LocalFile(std::move(file), static_cast<std::uint64_t>(status.st_size), tree.shown(path));
}

void LocalFile::expect(std::uint64_t offset, std::uint64_t length) const {
  posix_fadvise(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                POSIX_FADV_WILLNEED);
}

std::size_t LocalFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    ssize_t got = pread(file_.get(), to.data() + done, to.size() - done,
                        static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_disk("read file", shown_path_, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace standby_clone
