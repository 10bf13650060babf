// processes.cpp: /proc, and System V shared memory.
#include "helper/claim/processes.h"

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fmt/format.h>
#include <fstream>
#include <linux/magic.h>
#include <optional>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace standby_clone {
namespace {

// --- processes ---

std::string proc(long pid, const char* what) { return fmt::format("/proc/{}/{}", pid, what); }

struct Stat {
  std::string name;
  char state = '?';
  long parent = 0, group = 0;
};

// The name is in parentheses, and may hold any character.
std::optional<Stat> stat_of(long pid) {
  std::ifstream file(proc(pid, "stat"));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  auto begin = text.find('('), end = text.rfind(')');
  if (begin == std::string::npos || end == std::string::npos) return std::nullopt;
  Stat stat;
  stat.name = text.substr(begin + 1, end - begin - 1);
  if (std::sscanf(text.c_str() + end + 1, " %c %ld %ld", &stat.state, &stat.parent, &stat.group) != 3)
    return std::nullopt;
  return stat;
}

bool is_zombie(const Stat& stat) { return stat.state == 'Z' || stat.state == 'X'; }

// A lock file that names one of these was left behind: none of them is a server. PostgreSQL asks for itself,
// its parent and, started by pg_ctl, its grandparent; containers and reboots give the same low numbers again.
bool is_self_or_above(long pid) {
  for (long at = getpid(); at > 0;) {
    if (at == pid) return true;
    auto stat = stat_of(at);
    if (!stat) return false;
    at = stat->parent;
  }
  return false;
}

enum class Place { kHere, kElsewhere, kHidden };

Place place_of(long pid, const FileId& directory) {
  struct stat status;
  if (stat(proc(pid, "cwd").c_str(), &status) != 0) return Place::kHidden;
  return status.st_dev == directory.device && status.st_ino == directory.inode ? Place::kHere
                                                                             : Place::kElsewhere;
}

// --- shared memory ---

// The beginning of a server's segment, in every version: a magic number, and beside each other somewhere in the
// first words device and inode of its data directory. A segment may be shorter, a page of it is there.
constexpr std::int32_t kMagic = 679834894;
constexpr std::size_t kHeaderWords = 8;

bool is_of(const void* segment, const FileId& directory) {
  std::array<std::uint64_t, kHeaderWords> words;
  std::memcpy(words.data(), segment, sizeof(words));
  if (static_cast<std::int32_t>(words[0]) != kMagic) return false;
  for (std::size_t index = 1; index + 1 < words.size(); ++index)
    if (words[index] == directory.device && words[index + 1] == directory.inode) return true;
  return false;
}

// Two that ask at the same time see no attachment of each other's: nothing that is not in use is attached to.
bool is_in_use_here(int id, const shmid_ds& segment, const FileId& directory) {
  if (segment.shm_nattch == 0) return false;
  void* address = shmat(id, nullptr, SHM_RDONLY);
  // Gone meanwhile, or another user's, and so no server's of ours.
  if (address == reinterpret_cast<void*>(-1))
    return errno != EINVAL && errno != EIDRM && errno != EACCES;
  bool is_found = is_of(address, directory);
  shmdt(address);
  return is_found;
}

// --- what can be seen ---

// The inode numbers of the namespaces that the kernel begins with (PROC_PID_INIT_INO, PROC_IPC_INIT_INO).
constexpr char kFirstPidNamespace[] = "pid:[4026531836]";
constexpr char kFirstIpcNamespace[] = "ipc:[4026531839]";

bool is_link_to(const char* link, const char* text) {
  char target[64] = "";
  return readlink(link, target, sizeof(target) - 1) > 0 && std::strcmp(target, text) == 0;
}

// Those that one kernel alone mounts. Of others it must be assumed that another host does so as well.
constexpr std::uint32_t kXfs = 0x58465342, kZfs = 0x2fc12fc1, kBcachefs = 0xca451a4e, kJfs = 0x3153464a;

bool is_of_this_host(const std::string& directory) {
  struct statfs system;
  if (statfs(directory.c_str(), &system) != 0) return false;
  switch (static_cast<std::uint32_t>(system.f_type)) {
    case EXT4_SUPER_MAGIC:  // and of ext2 and ext3
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case kXfs:
    case kZfs:
    case kBcachefs:
    case kJfs: return true;
    default: return false;
  }
}

}  // namespace

Standing standing_of(long pid, const FileId& directory) {
  if (pid <= 0 || is_self_or_above(pid)) return Standing::kGone;
  // As in PostgreSQL: what we may not signal is no server of ours, whose number has gone to another.
  if (kill(static_cast<pid_t>(pid), 0) != 0) return Standing::kGone;
  auto stat = stat_of(pid);
  if (!stat) return kill(static_cast<pid_t>(pid), 0) == 0 ? Standing::kHidden : Standing::kGone;
  if (is_zombie(*stat)) return Standing::kGone;
  struct stat status;
  if (::stat(proc(pid, "").c_str(), &status) == 0 && status.st_uid != directory.owner)
    return Standing::kGone;  // we are root, and may signal all
  switch (place_of(pid, directory)) {
    case Place::kHere: return Standing::kHere;
    case Place::kElsewhere: return Standing::kElsewhere;
    case Place::kHidden: break;
  }
  return kill(static_cast<pid_t>(pid), 0) == 0 ? Standing::kHidden : Standing::kGone;
}

std::vector<Worker> workers_in(const FileId& directory) {
  std::vector<Worker> found;
  DIR* all = opendir("/proc");
  if (all == nullptr) return found;
  while (const dirent* entry = readdir(all)) {
    long pid = std::strtol(entry->d_name, nullptr, 10);
    if (pid <= 0 || place_of(pid, directory) != Place::kHere) continue;
    auto stat = stat_of(pid);
    if (!stat || is_zombie(*stat) || stat->group == getpgrp() || is_self_or_above(pid)) continue;
    found.push_back({pid, stat->name});
  }
  closedir(all);
  return found;
}

bool is_shared_memory_in_use(const FileId& directory) {
  shmid_ds segment;
  int last = shmctl(0, SHM_INFO, &segment);
  for (int index = 0; index <= last; ++index) {
    int id = shmctl(index, SHM_STAT, &segment);
    if (id >= 0 && is_in_use_here(id, segment, directory)) return true;
  }
  return false;
}

std::string why_not_all_is_seen(const std::string& directory) {
  if (!is_link_to("/proc/self/ns/pid", kFirstPidNamespace) ||
      !is_link_to("/proc/self/ns/ipc", kFirstIpcNamespace))
    return "this program runs in a container (namespaces of its own), and sees no processes outside of it";
  if (!is_of_this_host(directory))
    return "its file system may be one that other hosts use as well";
  return "";
}

}  // namespace standby_clone
