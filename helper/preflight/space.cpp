// space.cpp: directories and the room in them.
#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>

#include "helper/base/size.h"
#include "helper/base/unique_fd.h"
#include "helper/claim/look.h"
#include "helper/disk/directory.h"
#include "helper/plan/space.h"
#include "helper/preflight/directory.h"
#include "helper/preflight/host.h"

namespace standby_clone {
namespace {

// The speed of a clone nobody has limited, to guess how long WAL will pile up: a
// gigabit link's.
constexpr std::uint64_t kUsualRate = 110 * 1024 * 1024;

// A directory that is made anew needs a place that lets it be made.
void check_may_write(const char* check, const std::string& path, Findings& findings) {
  std::string directory = nearest_existing(path);
  bool is_there = directory == path;
  int error = why_not_written_to(directory);
  if (error == 0)
    return findings.ok(check, fmt::format("\"{}\" can be {}", path, is_there ? "written to" : "created"));
  Failure failure = disk_failure("write to directory", directory, error);
  findings.fail(check, Kind::kTargetRefused,
                is_there ? failure.message
                         : fmt::format("could not create \"{}\": {}", path, failure.message),
                failure.hint);
}

void check_data_directory(const Options& options, Findings& findings) {
  constexpr char kCheck[] = "directory";
  const std::string& path = options.data_directory;
  Look look = look_at_directory(path);
  if (auto refused = refusal(path, look, leave_of(options)))
    return findings.fail(kCheck, refused->kind, refused->message, refused->hint);
  switch (look.holds) {
    case Holds::kUnfinishedClone:
      return findings.ok(kCheck, fmt::format("\"{}\" holds an unfinished clone", path));
    case Holds::kCompleteClone:
      return findings.ok(kCheck, fmt::format("\"{}\" holds a complete clone", path));
    case Holds::kCluster:
      return findings.ok(kCheck, fmt::format("\"{}\" holds a cluster to bring up to date", path));
    default: return check_may_write(kCheck, path, findings);
  }
}

// A directory beside the data directory: for WAL, or a tablespace.
void check_other_directory(const char* check, const std::string& what, const std::string& path,
                           const std::string& data_directory, const char* option,
                           Findings& findings) {
  auto refuse = [&](std::string why) {
    findings.fail(check, Kind::kTargetRefused, fmt::format("{} \"{}\" {}", what, path, why),
                  fmt::format("Empty it, or choose another one with {}.", option));
  };
  if (is_inside(path, data_directory)) return refuse("lies inside the data directory");
  Holds holds = look_at_directory(path).holds;
  if (holds == Holds::kNotADirectory) return refuse("is not a directory");
  if (holds != Holds::kNothing && holds != Holds::kEmpty) return refuse("is not empty");
  check_may_write(check, path, findings);
}

bool goes_on(const Options& options) {
  Holds holds = look_at_directory(options.data_directory).holds;
  return holds == Holds::kUnfinishedClone || holds == Holds::kCompleteClone ||
         (holds == Holds::kCluster && options.delta);
}

std::string mapped(const Options& options, const std::string& donors) {
  for (const auto& [from, to] : options.tablespace_mapping)
    if (from == donors) return to;
  return donors;
}

void check_mapping(const Options& options, const DonorReport& donor, Findings& findings) {
  for (const auto& [from, to] : options.tablespace_mapping) {
    bool is_known = std::any_of(
        donor.tablespaces.begin(), donor.tablespaces.end(),
        [&directory = from](const DonorPlace& place) { return place.directory == directory; });
    if (is_known) continue;
    std::string known;
    for (const auto& place : donor.tablespaces) known += "\n  " + place.directory;
    findings.fail("tablespaces", Kind::kUsage,
                  fmt::format("the donor has no tablespace in \"{}\"", from),
                  known.empty()
                      ? "It has none outside its data directory: leave --tablespace-mapping out."
                      : "Its tablespaces are in:" + known);
  }
}

// All that goes to one file system.
struct Load {
  std::string directory;  // the first one there
  std::uint64_t available = 0, reusable = 0;
  std::uint64_t needed = 0;
  std::uint64_t wal = 0;  // a guess
  bool compresses = false;
};

class Loads {
 public:
  Load& at(const std::string& directory) {
    Room room = room_at(directory);
    Load& load = loads_[room.device];
    if (load.directory.empty()) load.directory = directory;
    load.available = room.available;
    UniqueFd opened(open(nearest_existing(directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    load.compresses = opened && compresses(opened.get());
    return load;
  }

  void put(const std::string& directory, std::uint64_t bytes) {
    Load& load = at(directory);
    load.needed += bytes;
    // What an unfinished clone takes there is given back, or used again.
    load.reusable += bytes_in(directory);
  }

  void report(bool is_needed, Findings& findings) const {
    for (const auto& [device, load] : loads_) {
      std::uint64_t available = load.available + load.reusable;
      std::string detail =
          fmt::format("the clone needs {} on the file system of \"{}\", {} are free",
                      human_size(load.needed), load.directory, human_size(available));
      if (load.needed > available && is_needed && !load.compresses)
        findings.fail("space", Kind::kDisk, detail, Shortage::hint());
      else if (load.needed > available)
        findings.warn("space", detail, load.compresses ? "It compresses: less may do." : "");
      else if (load.needed + load.wal > available)
        findings.warn("space", detail,
                      fmt::format("At the donor's present rate {} of WAL come along: make room, or "
                                  "put it elsewhere with --waldir.",
                                  human_size(load.wal)));
      else
        findings.ok("space", detail);
    }
  }

 private:
  std::map<std::uint64_t, Load> loads_;
};

// WAL that arrives while the data does (trap 67).
std::uint64_t wal_to_come(const Options& options, const DonorReport& donor, std::uint64_t bytes) {
  std::uint64_t rate = options.max_rate > 0 ? options.max_rate : kUsualRate;
  return donor.wal_rate * (bytes / rate) + donor.wal_segment_size;
}

}  // namespace

Leave leave_of(const Options& options) {
  return {.to_update = options.delta,
          .to_stop_server = options.manage_server,
          .to_assume_stopped = options.assume_stopped};
}

void check_directories(const Options& options, Findings& findings) {
  check_data_directory(options, findings);
  if (!options.wal_directory.empty() && !goes_on(options))
    check_other_directory("wal_directory", "WAL directory", options.wal_directory,
                          options.data_directory, "--waldir", findings);
}

void check_space(const Options& options, const DonorReport& donor, Findings& findings) {
  check_mapping(options, donor, findings);
  Loads loads;
  loads.put(options.data_directory, donor.data.bytes);
  std::uint64_t bytes = donor.data.bytes;
  bool is_fresh = !goes_on(options);
  for (const auto& place : donor.tablespaces) {
    std::string directory = mapped(options, place.directory);
    if (is_fresh)
      check_other_directory("tablespaces", "tablespace directory", directory,
                            options.data_directory, "--tablespace-mapping", findings);
    loads.put(directory, place.bytes);
    bytes += place.bytes;
  }
  if (options.stream_wal) {
    Load& load =
        loads.at(options.wal_directory.empty() ? options.data_directory : options.wal_directory);
    load.needed += donor.wal_segment_size;
    load.wal = wal_to_come(options, donor, bytes);
  }
  loads.report(options.check_space, findings);
}

}  // namespace standby_clone
