// tree.h: the directories that a clone has taken, as descriptors, and all that lies below them. Nothing here
// ever follows a link: a path is opened beneath its root, and what "pg_wal" and "pg_tblspc/OID" lead to
// are roots of their own, taken on purpose (trap 87).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

#include "helper/base/unique_fd.h"
#include "helper/disk/disk.h"

namespace standby_clone {

// Paths are relative to the data directory and clean; "" is the data directory itself. "pg_wal" and
// "pg_tblspc/OID" are the roots taken for them where something in them is meant, the link where
// its name is (status, remove, make_link). Failures are kDisk or kTargetRefused and name the place.
// Thread-safe but for add_root() and make_directory().
class Tree {
 public:
  // With `syncs` false, what would sync does nothing.
  Tree(Disk& disk, bool syncs) : disk_(&disk), syncs_(syncs) {}

  // A directory is a root from now on, in the place of any other of that link: "" for the first, the
  // data directory. The descriptor through which its file system will be synced is this one: an
  // error of writing that happens from here on is told (syncfs).
  void add_root(const std::string& link, const std::string& directory, UniqueFd opened = UniqueFd());
  bool has_root(std::string_view link) const { return find_root(link) != nullptr; }
  Disk& disk() const { return *disk_; }
  int top() const { return roots_.at(0).directory.get(); }  // the data directory
  bool syncs() const { return syncs_; }
  // For people.
  std::string shown(std::string_view path) const;

  // --- looking ---

  // Of what has the name; nothing if nothing has it.
  std::optional<struct stat> status(const std::string& path) const;
  bool is_directory(const std::string& path) const;
  std::vector<std::string> entries(const std::string& path) const;
  // Names can be made and removed in that directory.
  bool may_change(const std::string& directory) const;
  // What the link leads to; "" if it is none.
  std::string read_link(const std::string& path) const;
  std::string read_file(const std::string& path) const;
  // Any descriptor; none, with errno, if it cannot be had.
  UniqueFd open(const std::string& path, int flags, mode_t mode = 0) const;

  // --- changing; what must be durable is synced by the caller, but for write_file() ---

  // A real one, and no root any more: what has the name and is none is replaced. With this mode whatever
  // the umask says. Where something is mounted on it, that is synced too.
  void make_directory(const std::string& path, mode_t mode);
  // What has the name and is not this link is replaced.
  void make_link(const std::string& path, const std::string& leads_to) const;
  void rename(const std::string& from, const std::string& to) const;
  // It may be gone already.
  void remove_file(const std::string& path) const;
  // With all that is in it. What stays: a directory that something is mounted on, empty; and
  // lost+found of the system's administrator, with what it lies in.
  void remove(const std::string& path) const;
  void remove_content(const std::string& directory) const;
  void set_mode(const std::string& path, mode_t mode) const;
  // A small file as a whole, durable on return.
  void write_file(const std::string& path, std::string_view content, mode_t mode) const;
  // To the end of it, however often it takes.
  void write(int file, std::span<const std::byte> bytes, std::uint64_t at,
             const std::string& path) const;
  // Room for so much, as an offer: why ever it is refused, writing will tell. Nothing is asked for where
  // it would keep the file system from compressing, nor where it is reserved already (XFS would want
  // the room again).
  void reserve(int file, std::uint64_t length) const;

  // --- durability ---

  void sync(int file, const std::string& path) const;
  void sync_file(const std::string& path) const;
  bool sync_file_if_there(const std::string& path) const;  // false if it is gone
  void sync_directory(const std::string& path) const;
  // All at once, with the names in directories; false where the system cannot.
  bool sync_file_systems() const;
  // Everything, one way or the other.
  void sync_all() const;

 private:
  struct Root {
    std::string link;
    std::string path;  // absolute
    UniqueFd directory;
  };
  struct FileSystem {
    UniqueFd directory;
    std::string path;  // absolute, for messages
    dev_t device;
  };
  // A name, and the directory that it is in.
  struct Place {
    UniqueFd opened;  // where that is no root
    int directory = -1;
    std::string name;
  };

  const Root* find_root(std::string_view link) const;
  const Root& root_of(std::string_view& path) const;
  Place place_of(const std::string& path, const char* what) const;
  UniqueFd open_directory(const std::string& path) const;
  void remove_in(int directory, const std::string& name, const std::string& path) const;
  void remove_content_of(UniqueFd directory, const std::string& path) const;
  void sync_content_of(UniqueFd directory, const std::string& path) const;
  void cover(int directory, const std::string& path);

  Disk* disk_;
  bool syncs_;
  std::vector<Root> roots_;
  std::vector<FileSystem> file_systems_;
};

// Apparent sizes say little of what will be used on this one. What is reserved or written past the page
// cache there is not compressed.
bool compresses(int file);

// Like mkdir -p, by absolute path; the last directory gets mode 0700. With `syncs` the names are
// durable on return.
void make_directories(Disk& disk, const std::string& path, bool syncs);

}  // namespace standby_clone
