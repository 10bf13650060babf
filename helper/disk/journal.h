// journal.h: the file in the target that says: this directory is a clone being made, and
// this is what it consists of. While it is there, the directory is ours.
#pragma once

#include <string>
#include <vector>

namespace standby_clone {

inline constexpr char kJournalName[] = "pg_standby_clone.journal";

// A directory that was empty, or not there, when the clone began.
struct MadeDirectory {
  std::string path;      // absolute
  bool existed = false;  // then only its content is ours
};

struct Journal {
  bool is_committed = false;
  std::vector<MadeDirectory> directories;  // the first is the data directory

  std::string to_text() const;
  // Fails with kTargetRefused on anything that is not a journal of ours.
  static Journal from_text(const std::string& text, const std::string& path);
};

}  // namespace standby_clone
