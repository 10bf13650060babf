// failure.h: the one list of ways a run can fail. The value of a kind is the exit
// code of the program; docs/exit-codes.md says the same in words.
#pragma once

#include <exception>
#include <string>

namespace standby_clone {

enum class Kind {
  kInternal = 1,       // a broken promise of our own code
  kUsage = 2,          // the command line
  kConnection = 3,     // the donor cannot be reached, or does not let us in
  kTargetRefused = 4,  // the target directory is not one we may use
  kPreflight = 5,      // the donor cannot be cloned as it is set up
  kCorrupted = 6,      // wrong page checksums, or altered data
  kDisk = 7,           // the target's disk: full, or failing
  kCancelled = 8,      // by signal, or on the donor
  kLostDonor = 9,      // the connection broke, the donor went away
  kDonorFailed = 10,   // the donor gave up
  kStartFailed = 11,   // --start: the standby is complete, but its server does not stream
};

int exit_code(Kind kind);
const char* name_of(Kind kind);

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
[[noreturn]] void fail_on_disk(const std::string& what, const std::string& path, int error);

}  // namespace standby_clone
