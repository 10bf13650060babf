// history.h: a timeline and those it came from, as its history file tells (NNNNNNNN.history,
// timeline.c in PostgreSQL): which timeline a position of the WAL lies on, and where two part.
#pragma once

#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "helper/base/lsn.h"

namespace standby_clone {

// Of a timeline that has not been left.
inline constexpr Lsn kNoEnd = std::numeric_limits<Lsn>::max();

class History {
 public:
  // Of `timeline`, with what its history file says; "" for timeline 1, or where it was never told.
  // kCorrupted if that is no history of it.
  History(Timeline timeline, std::string_view file);

  Timeline timeline() const { return parts_.back().timeline; }
  // Where that timeline was left, kNoEnd for the last one; none if it is no part of this history.
  std::optional<Lsn> end_of(Timeline timeline) const;
  // Where it began; 0 for the first.
  std::optional<Lsn> begin_of(Timeline timeline) const;
  // The one that `at` lies on; where one was left exactly there, the next.
  Timeline timeline_at(Lsn at) const;
  std::vector<Timeline> newest_first() const;

  // Where `mine` leaves `theirs`: all WAL before is of both, if they are of one cluster at all (timeline
  // numbers alone prove nothing). kNoEnd if `mine` is a part of `theirs` that goes on there.
  friend Lsn parting_of(const History& mine, const History& theirs);

 private:
  struct Part {
    Timeline timeline;
    Lsn end;
  };
  std::vector<Part> parts_;  // oldest first
};

}  // namespace standby_clone
