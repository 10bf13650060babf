// many_files.cpp: going on with a clone of a million files: reading the journal, writing it anew, the donor's list,
// the plan (`make micro-bench`). In a process of its own: its peak of memory counts.
#include <benchmark/benchmark.h>

#include "helper/clone/many_files.h"
#include "helper/disk/scratch_directory.h"

namespace {

using namespace standby_clone;

void going_on_with_many_files(benchmark::State& state) {
  auto count = static_cast<std::uint32_t>(state.range(0));
  ScratchDirectory scratch;
  const std::string journal = scratch / kJournalName;
  ManyFiles many(count);
  many.write_journal(journal);
  Tree tree(real_disk(), true);
  tree.add_root("", scratch.path());
  std::uint64_t before = ManyFiles::bytes_of("VmRSS:");
  for (auto _ : state)
    if (many.go_on(tree, journal) != count) state.SkipWithError("not all files are known");
  state.counters["bytes_a_file"] = static_cast<double>(ManyFiles::bytes_of("VmHWM:") - before) / count;
  state.counters["journal_MB"] = static_cast<double>(std::filesystem::file_size(journal)) / 1e6;
}
BENCHMARK(going_on_with_many_files)->Arg(1000000)->Unit(benchmark::kSecond)->Iterations(1)->Repetitions(5)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
