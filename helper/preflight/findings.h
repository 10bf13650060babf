// findings.h: what the checks before a clone have found, on both hosts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "helper/base/failure.h"

namespace standby_clone {

enum class Verdict { kOk, kWarning, kError };

const char* name_of(Verdict verdict);

struct Finding {
  std::string check;   // its name: "space", "wal_level"
  Verdict verdict = Verdict::kOk;
  std::string detail;  // stands for itself as an error's message
  std::string hint;
  Kind kind = Kind::kPreflight;  // of an error: what the program would end with
};

class Findings {
 public:
  void ok(std::string check, std::string detail, std::string hint = {}) {
    add({std::move(check), Verdict::kOk, std::move(detail), std::move(hint), {}});
  }
  void warn(std::string check, std::string detail, std::string hint = {}) {
    add({std::move(check), Verdict::kWarning, std::move(detail), std::move(hint), {}});
  }
  void fail(std::string check, Kind kind, std::string detail, std::string hint = {}) {
    add({std::move(check), Verdict::kError, std::move(detail), std::move(hint), kind});
  }
  void add(Finding finding) { all_.push_back(std::move(finding)); }

  const std::vector<Finding>& all() const { return all_; }
  std::size_t count(Verdict verdict) const;
  // The worst of all, or kOk.
  Verdict verdict() const;
  // Of the first error; 0 without one.
  int exit_code() const;

  // Throws the first error as a Failure; its hint says how many more there are.
  void stop_on_error() const;

 private:
  std::vector<Finding> all_;
};

}  // namespace standby_clone
