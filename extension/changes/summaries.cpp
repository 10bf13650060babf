// summaries.cpp: names of files, gaps, and reading many at once.
#include "extension/changes/summaries.h"

namespace changes {
namespace {

constexpr char kDirectory[] = "pg_wal/summaries";

// Read beside each other; more are read group by group, and the reader of the answer adds up. Each takes some 70 kB.
constexpr int kMostAtOnce = 64;

bool parse_name(const char* name, Summary& summary) {
  unsigned timeline, start_high, start_low, end_high, end_low;
  if (std::strlen(name) != 40 + std::strlen(".summary") || std::strcmp(name + 40, ".summary") != 0 ||
      std::strspn(name, "0123456789ABCDEF") != 40 ||
      sscanf(name, "%08X%08X%08X%08X%08X", &timeline, &start_high, &start_low, &end_high, &end_low) != 5)
    return false;
  summary = {timeline, std::uint64_t{start_high} << 32 | start_low, std::uint64_t{end_high} << 32 | end_low};
  return summary.start < summary.end;
}

int compare_by_start(const void* left, const void* right) {
  const auto &a = *static_cast<const Summary*>(left), &b = *static_cast<const Summary*>(right);
  if (a.timeline != b.timeline) return a.timeline < b.timeline ? -1 : 1;
  return a.start < b.start ? -1 : a.start > b.start;
}

// What the directory has, sorted by timeline and start.
Summaries read_directory() {
  Summaries all{static_cast<Summary*>(palloc(64 * sizeof(Summary))), 0, 0};
  int room = 64;
  DIR* directory = AllocateDir(kDirectory);
  if (directory == nullptr) return all;
  while (dirent* entry = ReadDirExtended(directory, kDirectory, LOG)) {
    Summary summary;
    if (!parse_name(entry->d_name, summary)) continue;
    if (all.count == room) {
      room *= 2;
      all.files = static_cast<Summary*>(repalloc(all.files, room * sizeof(Summary)));
    }
    all.files[all.count++] = summary;
  }
  FreeDir(directory);
  qsort(all.files, all.count, sizeof(Summary), compare_by_start);
  return all;
}

// Goes on from `at` over one timeline's summaries as far as they join, at most to `until`; keeps those met.
XLogRecPtr follow(const Summaries& all, TimeLineID timeline, XLogRecPtr at, XLogRecPtr until, Summaries& kept) {
  for (int index = 0; index < all.count && at < until; ++index) {
    const Summary& summary = all.files[index];
    if (summary.timeline != timeline || summary.end <= at) continue;
    if (summary.start > at) break;
    kept.files[kept.count++] = summary;
    at = summary.end;
  }
  return Min(at, until);
}

// --- reading ------------------------------------------------------------------------------

struct Source {
  compat::SummaryReader* reader;

  bool next(Fork& fork) {
    compat::SummaryFork found;
    if (!compat::next_fork(reader, found)) return false;
    fork = {found.tablespace, found.database, found.relation, found.fork, found.limit};
    return true;
  }
  unsigned blocks(std::uint32_t* to, unsigned most) { return compat::next_blocks(reader, to, most); }
};

void merge_group(const Summary* files, int count, const Taker& taker) {
  using Lane = Merge<Source>::Lane;
  auto* sources = static_cast<Source*>(palloc0(count * sizeof(Source)));
  auto* lanes = static_cast<Lane*>(palloc0(count * sizeof(Lane)));
  for (int index = 0; index < count; ++index) {
    const Summary& file = files[index];
    char path[MAXPGPATH];
    snprintf(path, sizeof(path), "%s/%08X%08X%08X%08X%08X.summary", kDirectory, file.timeline,
             static_cast<std::uint32_t>(file.start >> 32), static_cast<std::uint32_t>(file.start),
             static_cast<std::uint32_t>(file.end >> 32), static_cast<std::uint32_t>(file.end));
    sources[index].reader = compat::open_summary(path);
    lanes[index].source = &sources[index];
  }
  auto* merge = new (palloc(sizeof(Merge<Source>))) Merge<Source>(std::span(lanes, count));
  while (taker.goes_on() && merge->next(taker)) {
  }
}

}  // namespace

Summaries find_summaries(TimeLineID timeline, XLogRecPtr since, XLogRecPtr until) {
  Summaries all = read_directory();
  Summaries kept{static_cast<Summary*>(palloc((all.count + 1) * sizeof(Summary))), 0, since};
  List* history = readTimeLineHistory(timeline);
  // The list begins with the newest timeline.
  for (int index = list_length(history) - 1; index >= 0 && kept.covered < until; --index) {
    auto* part = static_cast<TimeLineHistoryEntry*>(list_nth(history, index));
    XLogRecPtr end = XLogRecPtrIsInvalid(part->end) ? until : Min(part->end, until);
    if (end <= kept.covered) continue;
    kept.covered = follow(all, part->tli, kept.covered, end, kept);
    if (kept.covered < end) break;
  }
  list_free_deep(history);
  pfree(all.files);
  return kept;
}

const char* for_each_change(const Summaries& summaries, const Taker& taker) {
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext inner = AllocSetContextCreate(outer, "summaries of a clone", ALLOCSET_DEFAULT_SIZES);
  const char* volatile failure = nullptr;
  for (int at = 0; at < summaries.count && failure == nullptr; at += kMostAtOnce) {
    MemoryContextSwitchTo(inner);
    PG_TRY();
    {
      merge_group(summaries.files + at, Min(kMostAtOnce, summaries.count - at), taker);
      MemoryContextSwitchTo(outer);
    }
    PG_CATCH();
    {
      MemoryContextSwitchTo(outer);
      failure = compat::summary_failure();
      if (failure == nullptr) PG_RE_THROW();
      FlushErrorState();
    }
    PG_END_TRY();
    compat::close_summaries();
    MemoryContextReset(inner);
  }
  MemoryContextDelete(inner);
  return failure;
}

}  // namespace changes
