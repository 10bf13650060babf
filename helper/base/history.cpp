// history.cpp: lines of a history file, and comparing two.
#include "helper/base/history.h"

#include <algorithm>
#include <fmt/format.h>
#include <sstream>

#include "helper/base/failure.h"

namespace standby_clone {

History::History(Timeline timeline, std::string_view file) {
  // A line for each ancestor: its number, where it was left, why; the rest are comments.
  std::istringstream lines{std::string(file)};
  Lsn reached = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Timeline ancestor = 0;
    std::string left;
    if (!(words >> ancestor >> left)) continue;
    auto end = parse_lsn(left);
    bool goes_on = end && *end >= reached && ancestor > 0 && ancestor < timeline &&
                   (parts_.empty() || ancestor > parts_.back().timeline);
    if (!goes_on)
      fail(Kind::kCorrupted,
           fmt::format("the history of timeline {} cannot be read at \"{}\"", timeline, line),
           "Check the file of that name in pg_wal.");
    parts_.push_back({ancestor, *end});
    reached = *end;
  }
  parts_.push_back({timeline, kNoEnd});
}

std::optional<Lsn> History::end_of(Timeline timeline) const {
  for (const Part& part : parts_)
    if (part.timeline == timeline) return part.end;
  return std::nullopt;
}

std::optional<Lsn> History::begin_of(Timeline timeline) const {
  Lsn begin = 0;
  for (const Part& part : parts_) {
    if (part.timeline == timeline) return begin;
    begin = part.end;
  }
  return std::nullopt;
}

Timeline History::timeline_at(Lsn at) const {
  for (const Part& part : parts_)
    if (at < part.end) return part.timeline;
  return timeline();
}

std::vector<Timeline> History::newest_first() const {
  std::vector<Timeline> timelines;
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) timelines.push_back(part->timeline);
  return timelines;
}

Lsn parting_of(const History& mine, const History& theirs) {
  std::size_t index = 0;
  Lsn parting = 0;
  while (index < mine.parts_.size() && index < theirs.parts_.size()) {
    const auto &here = mine.parts_[index], &there = theirs.parts_[index];
    if (here.timeline != there.timeline) break;
    // Who left a timeline they share first is the one who went elsewhere.
    parting = std::min(here.end, there.end);
    if (here.end != there.end) break;
    ++index;
  }
  return parting;
}

}  // namespace standby_clone
