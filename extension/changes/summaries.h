// summaries.h: the server's WAL summaries (17 and later): which there are, whether they cover a stretch of
// the WAL without a gap, and what they say changed in it.
#pragma once

#include "extension/changes/merge.h"
#include "extension/pg/compat.h"

namespace changes {

struct Summary {
  TimeLineID timeline;
  XLogRecPtr start, end;
};

// Those of the history of `timeline` that have anything of [since, until), in memory of the caller's
// context. `covered` is how far from `since` on they go without a gap; `since` itself if not at all.
struct Summaries {
  Summary* files;
  int count;
  XLogRecPtr covered;
};
Summaries find_summaries(TimeLineID timeline, XLogRecPtr since, XLogRecPtr until);

// Where the forks go. Called from for_each_change() only.
struct Taker {
  void* context;
  void (*begin_fork)(void* context, const Fork& fork);
  void (*add_blocks)(void* context, std::uint32_t first, std::uint32_t count);
  void (*end_fork)(void* context);
  bool (*listen)(void* context);  // false: enough; at least once for each window of blocks
  // Each may wait: nothing is held meanwhile but files of this process.

  void begin(const Fork& fork) const { begin_fork(context, fork); }
  void add(std::uint32_t first, std::uint32_t count) const { add_blocks(context, first, count); }
  void end() const { end_fork(context); }
  bool goes_on() const { return listen(context); }
};

// All that they say. A fork may come more than once. Returns NULL when all was read; otherwise why not, in
// words (a summary is damaged, or was removed meanwhile): what came is then worth nothing. Raises what
// `taker` raises.
const char* for_each_change(const Summaries& summaries, const Taker& taker);

}  // namespace changes
