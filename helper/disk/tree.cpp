// tree.cpp: every path here is opened by Disk::open(), which follows no link, or is one name in a
// directory that was opened so.
#include "helper/disk/tree.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <limits.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// Some file systems cannot sync a directory, or know no other state than synced; the server lives with them too.
bool cannot_sync_directories(int error) {
  return error == EINVAL || error == EBADF || error == EOPNOTSUPP || error == ENOSYS;
}

// Without syncfs(2), or forbidden to.
bool cannot_sync_file_systems(int error) {
  return cannot_sync_directories(error) || error == EPERM;
}

// After a sync that failed the system takes what it could not write for written: a later run would
// read it from memory, find it equal to the donor's, and trust it, while the disk holds something else.
// So that goes out of memory; what is read then is what the disk holds.
void forget_content(int file) { posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); }

void sync_at(Disk& disk, int file, const std::string& shown) {
  if (disk.sync(file) == 0) return;
  int reason = errno;
  struct stat status;
  if (cannot_sync_directories(reason) && fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) return;
  forget_content(file);
  fail_on_disk("fsync", shown, reason);
}

std::vector<std::string> names_in(int directory, const std::string& shown) {
  int again = openat(directory, ".", kOpenDirectory);
  DIR* stream = again < 0 ? nullptr : fdopendir(again);
  if (stream == nullptr) {
    int reason = errno;
    if (again >= 0) close(again);
    fail_on_disk("read directory", shown, reason);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  int reason = errno;
  closedir(stream);
  if (reason != 0) fail_on_disk("read directory", shown, reason);
  return names;
}

std::optional<struct stat> status_of(int directory, const std::string& name) {
  struct stat status;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return status;
  return std::nullopt;
}

// What fsck keeps for the administrator at the top of a file system, and nobody else may read.
bool is_lost_and_found(const std::string& name, const struct stat& status) {
  return name == "lost+found" && S_ISDIR(status.st_mode) && status.st_uid != geteuid();
}

void forget_tree(int directory, const std::string& shown) {
  for (const auto& name : names_in(directory, shown)) {
    auto status = status_of(directory, name);
    if (!status) continue;
    UniqueFd file(openat(directory, name.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) continue;
    if (S_ISREG(status->st_mode)) forget_content(file.get());
    if (S_ISDIR(status->st_mode)) forget_tree(file.get(), shown + "/" + name);
  }
}

}  // namespace

// --- roots ---

void Tree::add_root(const std::string& link, const std::string& directory, UniqueFd opened) {
  if (!opened) opened.reset(::open(directory.c_str(), kOpenDirectory));
  if (!opened) fail_on_disk("open directory", directory, errno);
  cover(opened.get(), directory);
  auto same = std::find_if(roots_.begin(), roots_.end(), [&](auto& root) { return root.link == link; });
  if (same == roots_.end())
    roots_.push_back({link, directory, std::move(opened)});
  else
    *same = {link, directory, std::move(opened)};
}

void Tree::cover(int directory, const std::string& path) {
  struct stat status;
  if (fstat(directory, &status) != 0) fail_on_disk("look at directory", path, errno);
  for (const auto& known : file_systems_)
    if (known.device == status.st_dev) return;
  file_systems_.push_back({UniqueFd(fcntl(directory, F_DUPFD_CLOEXEC, 0)), path, status.st_dev});
}

const Tree::Root* Tree::find_root(std::string_view link) const {
  for (const auto& root : roots_)
    if (root.link == link) return &root;
  return nullptr;
}

// Where the path begins; the path is what follows then.
const Tree::Root& Tree::root_of(std::string_view& path) const {
  for (const auto& root : roots_) {
    std::size_t size = root.link.size();
    if (size == 0 || !path.starts_with(root.link)) continue;
    if (path.size() == size || path[size] == '/') {
      path.remove_prefix(std::min(size + 1, path.size()));
      return root;
    }
  }
  return roots_.at(0);
}

std::string Tree::shown(std::string_view path) const {
  const std::string& top = roots_.at(0).path;
  return path.empty() ? top : top + "/" + std::string(path);
}

UniqueFd Tree::open(const std::string& path, int flags, mode_t mode) const {
  std::string_view rest = path;
  const Root& root = root_of(rest);
  std::string name(rest.empty() ? "." : rest);
  return UniqueFd(disk_->open(root.directory.get(), name.c_str(), flags | O_CLOEXEC, mode));
}

UniqueFd Tree::open_directory(const std::string& path) const {
  UniqueFd directory = open(path, kOpenDirectory);
  if (!directory) fail_on_disk("open directory", shown(path), errno);
  return directory;
}

Tree::Place Tree::place_of(const std::string& path, const char* what) const {
  auto slash = path.rfind('/');
  if (slash == std::string::npos) return {UniqueFd(), roots_.at(0).directory.get(), path};
  Place place{open(path.substr(0, slash), O_PATH | O_DIRECTORY), -1, path.substr(slash + 1)};
  if (!place.opened) fail_on_disk(what, shown(path), errno);
  place.directory = place.opened.get();
  return place;
}

// --- looking ---

std::optional<struct stat> Tree::status(const std::string& path) const {
  auto slash = path.rfind('/');
  std::string name = path.empty() ? "." : path.substr(slash + 1);  // npos + 1 is 0
  UniqueFd parent = open(slash == std::string::npos ? "" : path.substr(0, slash), O_PATH | O_DIRECTORY);
  auto status = parent ? status_of(parent.get(), name) : std::nullopt;
  if (!status && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
    fail_on_disk("look at", shown(path), errno);
  return status;
}

bool Tree::is_directory(const std::string& path) const {
  auto found = status(path);
  return found && S_ISDIR(found->st_mode);
}

std::vector<std::string> Tree::entries(const std::string& path) const {
  return names_in(open_directory(path).get(), shown(path));
}

bool Tree::may_change(const std::string& directory) const {
  return faccessat(open_directory(directory).get(), ".", W_OK | X_OK, AT_EACCESS) == 0;
}

std::string Tree::read_link(const std::string& path) const {
  Place place = place_of(path, "read link");
  char leads_to[PATH_MAX];
  ssize_t size = readlinkat(place.directory, place.name.c_str(), leads_to, sizeof(leads_to));
  return size < 0 ? "" : std::string(leads_to, static_cast<std::size_t>(size));
}

std::string Tree::read_file(const std::string& path) const {
  UniqueFd file = open(path, O_RDONLY | O_NONBLOCK);
  if (!file) fail_on_disk("open file", shown(path), errno);
  std::string content;
  char buffer[64 * 1024];
  while (true) {
    ssize_t got = ::read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_disk("read file", shown(path), errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

// --- changing ---

void Tree::make_directory(const std::string& path, mode_t mode) {
  std::erase_if(roots_, [&](const Root& root) { return root.link == path; });
  Place place = place_of(path, "create directory");
  if (disk_->make_directory(place.directory, place.name.c_str(), mode) != 0) {
    if (errno != EEXIST) fail_on_disk("create directory", shown(path), errno);
    if (!is_directory(path)) {
      remove(path);
      if (disk_->make_directory(place.directory, place.name.c_str(), mode) != 0)
        fail_on_disk("create directory", shown(path), errno);
    }
  }
  // The process's umask may have taken the group's rights away.
  set_mode(path, mode);
  cover(open_directory(path).get(), shown(path));
}

void Tree::make_link(const std::string& path, const std::string& leads_to) const {
  if (read_link(path) == leads_to) return;
  remove(path);
  Place place = place_of(path, "create symbolic link");
  if (disk_->make_link(leads_to.c_str(), place.directory, place.name.c_str()) != 0)
    fail_on_disk("create symbolic link", shown(path), errno);
}

void Tree::rename(const std::string& from, const std::string& to) const {
  Place old = place_of(from, "rename file");
  Place fresh = place_of(to, "rename file");
  if (disk_->rename(old.directory, old.name.c_str(), fresh.directory, fresh.name.c_str()) != 0)
    fail_on_disk("rename file", shown(from), errno);
}

void Tree::remove_file(const std::string& path) const {
  Place place = place_of(path, "remove file");
  if (disk_->unlink(place.directory, place.name.c_str()) != 0 && errno != ENOENT)
    fail_on_disk("remove file", shown(path), errno);
}

void Tree::remove(const std::string& path) const {
  Place place = place_of(path, "remove");
  remove_in(place.directory, place.name, path);
}

void Tree::remove_content(const std::string& directory) const {
  remove_content_of(open_directory(directory), directory);
}

void Tree::remove_in(int directory, const std::string& name, const std::string& path) const {
  auto status = status_of(directory, name);
  if (!status) {
    if (errno != ENOENT) fail_on_disk("remove", shown(path), errno);
    return;
  }
  if (is_lost_and_found(name, *status)) return;
  bool is_directory = S_ISDIR(status->st_mode);
  if (is_directory) {
    UniqueFd opened(disk_->open(directory, name.c_str(), kOpenDirectory));
    if (!opened) fail_on_disk("remove", shown(path), errno);
    remove_content_of(std::move(opened), path);
  }
  if (disk_->unlink(directory, name.c_str(), is_directory ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
    return;
  if (is_directory && errno == EBUSY) return;  // a mount
  if (is_directory && errno == ENOTEMPTY) {
    UniqueFd opened(disk_->open(directory, name.c_str(), kOpenDirectory));
    if (opened && !names_in(opened.get(), shown(path)).empty()) return;  // what has to stay is in it
  }
  fail_on_disk("remove", shown(path), errno);
}

void Tree::remove_content_of(UniqueFd directory, const std::string& path) const {
  for (const auto& name : names_in(directory.get(), shown(path)))
    remove_in(directory.get(), name, path.empty() ? name : path + "/" + name);
}

void Tree::set_mode(const std::string& path, mode_t mode) const {
  UniqueFd opened = open(path, O_PATH);
  if (!opened || disk_->set_mode(opened.get(), mode) != 0)
    fail_on_disk("set the mode of", shown(path), errno);
}

void Tree::write(int file, std::span<const std::byte> bytes, std::uint64_t at,
                 const std::string& path) const {
  while (!bytes.empty()) {
    ssize_t wrote = disk_->write(file, bytes, static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail_on_disk("write file", shown(path), wrote < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    at += static_cast<std::uint64_t>(wrote);
  }
}

void Tree::reserve(int file, std::uint64_t length) const {
  struct stat status;
  if (fstat(file, &status) != 0 || static_cast<std::uint64_t>(status.st_blocks) * 512 >= length) return;
  if (!compresses(file)) disk_->allocate(file, static_cast<off_t>(length));
}

void Tree::write_file(const std::string& path, std::string_view content, mode_t mode) const {
  std::string fresh = path + ".new";
  remove_file(fresh);
  UniqueFd file = open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!file) fail_on_disk("create file", shown(fresh), errno);
  write(file.get(), std::as_bytes(std::span(content)), 0, fresh);
  if (disk_->set_mode(file.get(), mode) != 0) fail_on_disk("set the mode of", shown(fresh), errno);
  sync(file.get(), fresh);
  rename(fresh, path);
  auto slash = path.rfind('/');
  sync_directory(slash == std::string::npos ? "" : path.substr(0, slash));
}

// --- durability ---

void Tree::sync(int file, const std::string& path) const {
  if (syncs_) sync_at(*disk_, file, shown(path));
}

bool Tree::sync_file_if_there(const std::string& path) const {
  UniqueFd file = open(path, O_RDONLY | O_NONBLOCK);
  if (!file && errno == ENOENT) return false;
  if (!file) fail_on_disk("open file", shown(path), errno);
  sync(file.get(), path);
  return true;
}

void Tree::sync_file(const std::string& path) const {
  if (syncs_ && !sync_file_if_there(path)) fail_on_disk("open file", shown(path), ENOENT);
}

void Tree::sync_directory(const std::string& path) const {
  if (syncs_) sync(open_directory(path).get(), path);
}

bool Tree::sync_file_systems() const {
  for (const auto& system : file_systems_) {
    if (disk_->sync_file_system(system.directory.get()) == 0) continue;
    int reason = errno;
    if (cannot_sync_file_systems(reason)) return false;
    for (const auto& root : roots_) forget_tree(root.directory.get(), root.path);
    fail_on_disk("sync the file system of", system.path, reason);
  }
  return true;
}

void Tree::sync_all() const {
  if (!syncs_ || sync_file_systems()) return;
  for (const auto& root : roots_) sync_content_of(open_directory(root.link), root.link);
}

// What belongs to another user and cannot be read was not written by us.
void Tree::sync_content_of(UniqueFd directory, const std::string& path) const {
  for (const auto& name : names_in(directory.get(), shown(path))) {
    auto status = status_of(directory.get(), name);
    if (!status || (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode))) continue;
    std::string its_path = path.empty() ? name : path + "/" + name;
    UniqueFd file(disk_->open(directory.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file && (errno == ENOENT || (errno == EACCES && status->st_uid != geteuid()))) continue;
    if (!file) fail_on_disk("open", shown(its_path), errno);
    if (S_ISDIR(status->st_mode))
      sync_content_of(std::move(file), its_path);
    else
      sync(file.get(), its_path);
  }
  sync(directory.get(), path);
}

// --- without a tree ---

bool compresses(int file) {
  constexpr auto kZfs = 0x2fc12fc1, kBcachefs = static_cast<int>(0xca451a4e);
  struct statfs system;
  if (fstatfs(file, &system) != 0) return false;
  auto type = static_cast<int>(system.f_type);
  return type == static_cast<int>(BTRFS_SUPER_MAGIC) || type == kZfs || type == kBcachefs;
}

void make_directories(Disk& disk, const std::string& path, bool syncs) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    bool is_last = slash == std::string::npos;
    bool is_made = disk.make_directory(AT_FDCWD, part.c_str(), is_last ? 0700 : 0777) == 0;
    if (!is_made && errno != EEXIST) fail_on_disk("create directory", part, errno);
    if (syncs && (is_made || is_last)) {
      std::string parent = std::filesystem::path(part).parent_path();
      UniqueFd opened(::open(parent.c_str(), kOpenDirectory));
      if (opened) sync_at(disk, opened.get(), parent);
      else if (is_made && errno != EACCES) fail_on_disk("open directory", parent, errno);
    }
    if (is_last) return;
  }
}

}  // namespace standby_clone
