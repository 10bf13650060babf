// many_files_test.cpp: the memory of going on with a clone of many files, in a process of its own, whose peak is its
// own. A million of them: bench/many_files.cpp.
#include "helper/clone/many_files.h"

#include <gtest/gtest.h>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

TEST(ManyFiles, take_at_most_200_bytes_each_when_a_clone_is_gone_on_with) {
  constexpr std::uint32_t kCount = 100000;
  ScratchDirectory scratch;
  const std::string journal = scratch / kJournalName;
  ManyFiles many(kCount);
  many.write_journal(journal);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Tree tree(real_disk(), false);
    tree.add_root("", scratch.path());
    // The code itself is memory of this process once it has run.
    {
      ScratchDirectory few_scratch;
      Tree few_tree(real_disk(), false);
      few_tree.add_root("", few_scratch.path());
      ManyFiles few(10);
      few.write_journal(few_scratch / kJournalName);
      few.go_on(few_tree, few_scratch / kJournalName);
    }
    malloc_trim(0);  // what earlier tests have freed
    std::uint64_t before = ManyFiles::bytes_of("VmRSS:");
    std::uint32_t known = many.go_on(tree, journal);
    std::ofstream(scratch / "result") << known << " " << (ManyFiles::bytes_of("VmHWM:") - before) / kCount;
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  std::uint64_t known = 0, bytes_each = 0;
  std::ifstream(scratch / "result") >> known >> bytes_each;
  EXPECT_EQ(known, kCount);
  EXPECT_GT(bytes_each, 50u) << "was it measured at all?";
#ifndef NO_MEMORY_FIGURES
  EXPECT_LE(bytes_each, 200u);
#endif
}

}  // namespace
}  // namespace standby_clone
