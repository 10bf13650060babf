// output_test.cpp: a reader that takes nothing, and one that takes it late.
#include "helper/progress/output.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

using std::chrono::milliseconds;

// A pipe that is full.
struct FullPipe {
  UniqueFd reader, writer;

  FullPipe() {
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    char filler[4096] = {};
    while (write(ends[1], filler, sizeof(filler)) > 0) {}
    fcntl(ends[1], F_SETFL, 0);
  }
};

TEST(Output, never_holds_up_who_speaks) {
  FullPipe pipe;
  std::optional<Output> output(std::in_place);
  auto began = std::chrono::steady_clock::now();
  for (int count = 0; count < 1000; ++count) output->line(pipe.writer.get(), "line\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(1000));
  EXPECT_FALSE(output->is_written_within(milliseconds(10)));
  // Where nobody will ever read, nothing is waited for.
  pipe.reader.reset();
  output.reset();
}

TEST(Output, loses_no_line_and_all_but_the_last_of_what_passes) {
  FullPipe pipe;
  std::optional<Output> output(std::in_place);
  int fd = pipe.writer.get();
  output->line(fd, "first\n");
  for (int count = 0; count < 1000; ++count) output->passing(fd, std::to_string(count) + "\n", false);
  output->line(fd, "result\n");
  std::string all;
  std::thread reader([&] {
    char buffer[4096];
    while (all.find("result\n") == std::string::npos) {
      ssize_t got = read(pipe.reader.get(), buffer, sizeof(buffer));
      if (got <= 0) break;
      all.append(buffer, static_cast<std::size_t>(got));
    }
  });
  output.reset();
  reader.join();
  all = all.substr(all.find_last_of('\0') + 1);
  EXPECT_EQ(all, "first\n999\nresult\n");
}

}  // namespace
}  // namespace standby_clone
