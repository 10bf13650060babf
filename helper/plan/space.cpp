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

namespace standby_clone {
namespace {

class Loads {
 public:
  explicit Loads(const Tree& tree) : tree_(tree) {}

  Shortage& of(const std::string& directory) {
    UniqueFd opened = tree_.open(directory, O_RDONLY | O_DIRECTORY);
    struct stat status;
    struct statvfs room;
    if (!opened || fstat(opened.get(), &status) != 0 || fstatvfs(opened.get(), &room) != 0)
      fail_on_disk("look at directory", tree_.shown(directory), errno);
    auto [at, is_new] = loads_.try_emplace(status.st_dev);
    if (is_new)
      at->second = {tree_.shown(directory), 0, std::uint64_t{room.f_bavail} * room.f_frsize,
                    compresses(opened.get())};
    return at->second;
  }

  std::vector<Shortage> too_small() const {
    std::vector<Shortage> shortages;
    for (const auto& [device, load] : loads_)
      if (load.needed > load.available) shortages.push_back(load);
    return shortages;
  }

 private:
  const Tree& tree_;
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

std::vector<Shortage> find_shortages(const Target& target, const FileList& list) {
  Loads loads(target.tree());
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
