// failure.cpp: kinds of failure and their words.
#include "helper/base/failure.h"

#include <cerrno>
#include <cstring>
#include <pwd.h>
#include <unistd.h>

namespace standby_clone {
namespace {

std::string user_name() {
  const passwd* entry = getpwuid(geteuid());
  return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

}  // namespace

int exit_code(Kind kind) { return static_cast<int>(kind); }

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kInternal: return "internal";
    case Kind::kUsage: return "usage";
    case Kind::kConnection: return "connection";
    case Kind::kTargetRefused: return "target refused";
    case Kind::kPreflight: return "preflight";
    case Kind::kCorrupted: return "corrupted";
    case Kind::kDisk: return "disk";
    case Kind::kCancelled: return "cancelled";
    case Kind::kLostDonor: return "lost donor";
    case Kind::kDonorFailed: return "donor failed";
    case Kind::kStartFailed: return "start failed";
  }
  return "internal";
}

Failure::Failure(Kind kind_in, std::string message_in, std::string hint_in)
    : kind(kind_in), message(std::move(message_in)), hint(std::move(hint_in)) {}

void fail(Kind kind, std::string message, std::string hint) {
  throw Failure(kind, std::move(message), std::move(hint));
}

void fail_on_disk(const std::string& what, const std::string& path, int error) {
  std::string message = "could not " + what + " \"" + path + "\": " + std::strerror(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      fail(Kind::kDisk, message, "Make room on that file system, and run the clone again.");
    case EACCES:
    case EPERM:
    case EROFS:
      fail(Kind::kTargetRefused, message,
           "Make it writable for the operating system user \"" + user_name() +
               "\", or run the clone as the user the standby will run as.");
    default:
      fail(Kind::kDisk, message, "Look into the system's log for trouble with that disk.");
  }
}

}  // namespace standby_clone
