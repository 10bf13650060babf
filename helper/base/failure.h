// failure.h: the one list of ways a run can fail: name, exit code, and whether it is worth
// another try. docs/exit-codes.md says the same in words.
#pragma once

#include <exception>
#include <string>

namespace standby_clone {

enum class Kind {
  kInternal,       // a broken promise of our own code
  kUsage,          // the command line
  kConnection,     // the donor cannot be reached, or does not let us in
  kTargetRefused,  // the target directory is not one we may use
  kPreflight,      // the donor cannot be cloned as it is set up
  kBusy,           // the donor has no connection or WAL sender free
  kCorrupted,      // wrong page checksums, or altered data
  kDisk,           // the target's disk: full, or failing
  kCancelled,      // by signal, or on the donor
  kLostDonor,      // the connection broke, the donor went away
  kSessionGone,    // the donor knows nothing of the clone any more
  kDonorFailed,    // the donor gave up
  kStartFailed,    // --start: the standby is complete, but its server does not stream
  kLeaseOver,      // the donor gave up because we stayed away too long
  kDonorCrashed,   // a process of the donor's crashed, and took all connections with it
  kElsewhere,      // connections of one clone reach different servers
};

int exit_code(Kind kind);
const char* name_of(Kind kind);

// What may help, once a clone has begun. Nothing is tried again before.
enum class Remedy {
  kNone,
  kReconnect,   // another connection, in the same session
  kNewSession,  // the session is lost: another one, that goes on with what is here
};
Remedy remedy_of(Kind kind);

// Message: lower case, no full stop; what was tried, on what. Hint: a sentence that
// says what to do; may be empty.
struct Failure : std::exception {
  Failure(Kind kind, std::string message, std::string hint = {});
  const char* what() const noexcept override { return message.c_str(); }

  Kind kind;
  std::string message;
  std::string hint;
};

[[noreturn]] void fail(Kind kind, std::string message, std::string hint = {});

// A failed system call on the target: "could not <what> \"<path>\": <reason>". The kind
// and the hint follow from `error` (an errno value).
Failure disk_failure(const std::string& what, const std::string& path, int error);
[[noreturn]] void fail_on_disk(const std::string& what, const std::string& path, int error);

}  // namespace standby_clone
