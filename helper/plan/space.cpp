// space.cpp: the files of a directory are on its file system.
#include "helper/plan/space.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <sys/statvfs.h>

#include "helper/base/failure.h"
#include "helper/base/size.h"
#include "helper/disk/directory.h"

namespace standby_clone {
namespace {

class Loads {
 public:
  Loads(const Target& target, const FileList& list, const Leftovers& leftovers)
      : target_(target), tree_(target.tree()), list_(list), leftovers_(leftovers) {}

  Shortage& of(const std::string& directory) {
    UniqueFd opened = open(directory);
    struct stat status;
    struct statvfs room;
    if (!opened || fstat(opened.get(), &status) != 0 || fstatvfs(opened.get(), &room) != 0)
      fail_on_disk("look at directory", tree_.shown(directory), errno);
    auto [at, is_new] = loads_.try_emplace(status.st_dev);
    if (!is_new) return at->second;
    at->second = {tree_.shown(directory), 0, std::uint64_t{room.f_bavail} * room.f_frsize, compresses(opened.get())};
    if (auto freed = leftovers_.room.find(status.st_dev); freed != leftovers_.room.end())
      at->second.available += freed->second;
    return at->second;
  }

  std::vector<Shortage> too_small() const {
    std::vector<Shortage> shortages;
    for (const auto& [device, load] : loads_)
      if (load.needed > load.available) shortages.push_back(load);
    return shortages;
  }

 private:
  UniqueFd open(std::string directory) const {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    while (true) {
      for (const auto& [link, donors] : list_.tablespaces)
        if (directory == link && !tree_.has_root(link))
          return UniqueFd(::open(nearest_existing(target_.place_of(link, donors)).c_str(), kFlags));
      UniqueFd opened = tree_.open(directory, kFlags);
      bool will_be_made = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
      if (opened || directory.empty() || !will_be_made) return opened;
      auto slash = directory.rfind('/');
      directory.erase(slash == std::string::npos ? 0 : slash);
    }
  }

  const Target& target_;
  const Tree& tree_;
  const FileList& list_;
  const Leftovers& leftovers_;
  std::map<dev_t, Shortage> loads_;
};

}  // namespace

std::string Shortage::text() const {
  return fmt::format("the clone needs {} on the file system of \"{}\", {} are free",
                     human_size(needed), directory, human_size(available));
}

const char* Shortage::hint() {
  return "Make room there, or choose another directory. If you know that it is enough (the file system "
         "compresses, or finds what is the same), use --no-check-space.";
}

std::vector<Shortage> find_shortages(const Target& target, const FileList& list, const Leftovers& leftovers) {
  Loads loads(target, list, leftovers);
  Shortage* load = &loads.of("");
  std::string directory;
  for (const File& file : list.files) {
    std::string path(list.path(file));
    auto slash = path.rfind('/');
    std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
    if (parent != directory) load = &loads.of(directory = parent);
    load->needed += file.size - std::min(file.size, target.room_taken_by(path));
  }
  return loads.too_small();
}

}  // namespace standby_clone
