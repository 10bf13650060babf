// failure.cpp: kinds of failure and their words.
#include "helper/base/failure.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <pwd.h>
#include <unistd.h>

namespace standby_clone {
namespace {

std::string user_name() {
  const passwd* entry = getpwuid(geteuid());
  return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

struct KindFacts {
  Kind kind;
  int exit_code;
  const char* name;
  Remedy remedy;
};

constexpr KindFacts kKinds[] = {
    {Kind::kInternal, 1, "internal", Remedy::kNone},
    {Kind::kUsage, 2, "usage", Remedy::kNone},
    {Kind::kConnection, 3, "connection", Remedy::kReconnect},
    {Kind::kTargetRefused, 4, "target refused", Remedy::kNone},
    {Kind::kPreflight, 5, "preflight", Remedy::kNone},
    // Often it is our own lost connections that are counted still.
    {Kind::kBusy, 5, "preflight", Remedy::kReconnect},
    {Kind::kCorrupted, 6, "corrupted", Remedy::kNone},
    {Kind::kDisk, 7, "disk", Remedy::kNone},
    {Kind::kCancelled, 8, "cancelled", Remedy::kNone},
    {Kind::kLostDonor, 9, "lost donor", Remedy::kReconnect},
    {Kind::kSessionGone, 9, "lost donor", Remedy::kNewSession},
    {Kind::kDonorFailed, 10, "donor failed", Remedy::kNone},
    {Kind::kStartFailed, 11, "start failed", Remedy::kNone},
    {Kind::kLeaseOver, 9, "lost donor", Remedy::kNewSession},
    {Kind::kDonorCrashed, 9, "lost donor", Remedy::kReconnect},
    {Kind::kElsewhere, 3, "connection", Remedy::kNone},
};

const KindFacts& facts_of(Kind kind) {
  for (const KindFacts& facts : kKinds)
    if (facts.kind == kind) return facts;
  return kKinds[0];
}

// Where it is, past the links of tablespaces and of pg_wal.
std::string real_directory_of(const std::string& path) {
  std::error_code ignored;
  auto real = std::filesystem::weakly_canonical(std::filesystem::path(path).parent_path(), ignored);
  return ignored || real.empty() ? path : real.string();
}

}  // namespace

int exit_code(Kind kind) { return facts_of(kind).exit_code; }
const char* name_of(Kind kind) { return facts_of(kind).name; }
Remedy remedy_of(Kind kind) { return facts_of(kind).remedy; }

Failure::Failure(Kind kind_in, std::string message_in, std::string hint_in)
    : kind(kind_in), message(std::move(message_in)), hint(std::move(hint_in)) {}

void fail(Kind kind, std::string message, std::string hint) {
  throw Failure(kind, std::move(message), std::move(hint));
}

Failure disk_failure(const std::string& what, const std::string& path, int error) {
  std::string message = "could not " + what + " \"" + path + "\": " + std::strerror(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return {Kind::kDisk, message,
              "Make room on the file system of \"" + real_directory_of(path) +
                  "\", and run the clone again."};
    case EACCES:
    case EPERM:
      return {Kind::kTargetRefused, message,
              "Make it writable for the operating system user \"" + user_name() +
                  "\", or run the clone as the user the standby will run as."};
    case EROFS:
      // As a file system becomes by itself when its disk fails, too.
      return {Kind::kTargetRefused, message,
              "That file system is mounted read-only; if it was writable before, look into the "
              "system's log for trouble with its disk."};
    default:
      return {Kind::kDisk, message, "Look into the system's log for trouble with that disk."};
  }
}

void fail_on_disk(const std::string& what, const std::string& path, int error) {
  throw disk_failure(what, path, error);
}

}  // namespace standby_clone
