// progress_test.cpp: what is shown, on a terminal, elsewhere, and as JSON.
#include "helper/progress/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <pty.h>
#include <sstream>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

using protocol::Method;
using protocol::Phase;
using nlohmann::json;

constexpr std::uint64_t kMega = 1024 * 1024;

Reading reading_of(std::uint64_t done, std::uint64_t total) {
  Reading reading;
  reading.bytes_done = done;
  reading.bytes_total = total;
  reading.bytes_wire = done / 2;
  reading.files_done = 3;
  reading.files_total = 12;
  reading.wal_bytes = 77;
  reading.streams = 4;
  return reading;
}

// Of a copy that needed little.
Reading reading_of_compare(std::uint64_t done, std::uint64_t total) {
  Reading reading = reading_of(done, total);
  reading.method = Method::kCompare;
  reading.bytes_kept = done / 4 * 3;
  return reading;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Everything written to standard output during `act`, a JSON object a line.
std::vector<json> json_of(const ProgressOptions& options, const std::function<void(Progress&)>& act) {
  testing::internal::CaptureStdout();
  {
    Progress progress(options);
    act(progress);
  }
  std::vector<json> objects;
  for (const auto& line : lines_of(testing::internal::GetCapturedStdout())) {
    objects.push_back(json::parse(line, nullptr, false));
    EXPECT_TRUE(objects.back().is_object()) << line;
  }
  return objects;
}

std::vector<std::string> lines_on_stderr(const ProgressOptions& options,
                                         const std::function<void(Progress&)>& act) {
  testing::internal::CaptureStderr();
  {
    Progress progress(options);
    act(progress);
  }
  return lines_of(testing::internal::GetCapturedStderr());
}

// Standard error as a terminal of this width, while it lives.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) {
    winsize size{24, columns, 0, 0};
    termios raw{};
    cfmakeraw(&raw);
    int ours = -1, theirs = -1;
    if (openpty(&ours, &theirs, nullptr, &raw, &size) != 0) return;
    ours_.reset(ours);
    fcntl(ours, F_SETFL, O_NONBLOCK);
    before_.reset(dup(STDERR_FILENO));
    dup2(theirs, STDERR_FILENO);
    ::close(theirs);
  }
  ~Terminal() {
    if (before_) dup2(before_.get(), STDERR_FILENO);
  }
  bool works() const { return static_cast<bool>(before_); }
  // What has been written since, when it has come: another thread writes it, at one go.
  std::string shown() {
    std::string text;
    char buffer[4096];
    pollfd come{ours_.get(), POLLIN, 0};
    ::poll(&come, 1, 10000);
    for (ssize_t got; (got = ::read(ours_.get(), buffer, sizeof(buffer))) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }

 private:
  UniqueFd ours_, before_;
};

constexpr char kWipe[] = "\r\033[K";

// What stands on the last line of the terminal at the end.
std::string last_drawn(const std::string& shown) {
  auto at = shown.rfind(kWipe);
  return at == std::string::npos ? shown : shown.substr(at + std::strlen(kWipe));
}

// All that is shown until a bar stands there: what was wiped before it may come alone.
std::string shown_with_bar(Terminal& terminal) {
  std::string shown;
  for (int count = 0; count < 3 && last_drawn(shown).empty(); ++count) shown += terminal.shown();
  return shown;
}

TEST(ProgressJson, tells_every_number_of_the_copy) {
  auto objects = json_of({.json = true}, [](Progress& progress) {
    progress.enter(Phase::kCopying);
    progress.tick(reading_of_compare(kMega, 4 * kMega));
  });
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0], (json{{"type", "phase"}, {"phase", "copying"}}));
  EXPECT_EQ(objects[1]["type"], "progress");
  EXPECT_EQ(objects[1]["phase"], "copying");
  EXPECT_EQ(objects[1]["bytes_done"], kMega);
  EXPECT_EQ(objects[1]["bytes_total"], 4 * kMega);
  EXPECT_EQ(objects[1]["bytes_kept"], kMega / 4 * 3);
  EXPECT_EQ(objects[1]["method"], "compare");
  EXPECT_EQ(objects[1]["bytes_sent"], kMega / 2);
  EXPECT_EQ(objects[1]["files_done"], 3);
  EXPECT_EQ(objects[1]["files_total"], 12);
  EXPECT_EQ(objects[1]["wal_bytes"], 77);
  EXPECT_EQ(objects[1]["streams"], 4);
  // Before something has been measured no number is better than a wild one.
  EXPECT_EQ(objects[1].contains("eta_seconds"), objects[1]["throughput"] > 0);
}

TEST(ProgressJson, keeps_its_interval) {
  auto objects = json_of({.json = true}, [](Progress& progress) {
    progress.enter(Phase::kCopying);
    for (int turn = 0; turn < 50; ++turn) progress.tick(reading_of(turn, 100));
  });
  EXPECT_EQ(objects.size(), 2u);
}

TEST(ProgressJson, has_a_rate_a_smooth_one_and_the_time_that_follows) {
  auto started = std::chrono::steady_clock::now();
  double elapsed = 0;
  auto objects = json_of({.json = true}, [&](Progress& progress) {
    progress.enter(Phase::kPreparing);
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(100 * kMega, 10000 * kMega));
    elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    // A silence moves the rate, but does not end it.
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress.enter(Phase::kWal);
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(100 * kMega, 10000 * kMega));
  });
  std::erase_if(objects, [](const json& object) { return object["type"] != "progress"; });
  ASSERT_EQ(objects.size(), 2u);
  double first = objects[0]["throughput"], second = objects[1]["throughput"];
  EXPECT_LE(first, 100 * kMega / 0.12);
  EXPECT_GE(first, 100 * kMega / elapsed - 1);
  EXPECT_NEAR(objects[0]["eta_seconds"].get<double>(), 9900.0 * kMega / first, 1.001);
  EXPECT_LT(second, first);
  EXPECT_GT(second, 0.5 * first);
  EXPECT_GE(objects[1]["eta_seconds"], objects[0]["eta_seconds"]);
}

TEST(ProgressJson, counts_from_nothing_again_in_a_further_session) {
  auto objects = json_of({.json = true}, [](Progress& progress) {
    for (std::uint64_t done : {5 * kMega, 1 * kMega}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(110));
      progress.enter(Phase::kPreparing);
      progress.enter(Phase::kCopying);
      progress.tick(reading_of(done, 10 * kMega));
    }
  });
  std::erase_if(objects, [](const json& object) { return object["type"] != "progress"; });
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_GT(objects[0]["throughput"], 0);
  EXPECT_LT(objects[1]["throughput"], objects[0]["throughput"]);
}

TEST(ProgressJson, has_no_time_left_when_all_is_copied) {
  auto objects = json_of({.json = true}, [](Progress& progress) {
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    progress.enter(Phase::kCopying);
    // Files grow while they are copied: more may come than was announced.
    progress.tick(reading_of(5 * kMega, 4 * kMega));
  });
  EXPECT_GT(objects.at(1)["throughput"], 0);
  EXPECT_FALSE(objects.at(1).contains("eta_seconds"));
}

TEST(ProgressJson, keeps_a_line_a_line_whatever_is_in_it) {
  auto objects = json_of({.verbose = true, .json = true}, [](Progress& progress) {
    progress.note("two\nlines and \"quotes\"");
    progress.warn("file \"\xFF\xFE\" is no UTF-8");
    progress.detail("a bell \a");
  });
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0], (json{{"type", "notice"}, {"message", "two\nlines and \"quotes\""}}));
  EXPECT_EQ(objects[1]["type"], "warning");
  EXPECT_NE(objects[1]["message"].get<std::string>().find("is no UTF-8"), std::string::npos);
  EXPECT_EQ(objects[2]["type"], "detail");
}

TEST(ProgressJson, ends_with_a_result) {
  Summary summary;
  summary.id = -3;
  summary.directory = "/data";
  summary.name = "s1";
  summary.method = Method::kCompare;
  summary.bytes = 5000;
  summary.kept = 4000;
  summary.wire = 400;
  summary.files = 30;
  summary.wal = 2;
  summary.start_lsn = "0/1";
  summary.stop_lsn = "0/2";
  auto objects = json_of({.json = true}, [&](Progress& progress) { progress.complete(summary); });
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_GE(objects[0]["seconds"], 0);
  objects[0].erase("seconds");
  EXPECT_EQ(objects[0], (json{{"type", "result"},
                              {"state", "completed"},
                              {"id", -3},
                              {"directory", "/data"},
                              {"name", "s1"},
                              {"slot", nullptr},
                              {"method", "compare"},
                              {"bytes", 5000},
                              {"bytes_kept", 4000},
                              {"bytes_sent", 400},
                              {"files", 30},
                              {"wal_bytes", 2},
                              {"start_lsn", "0/1"},
                              {"stop_lsn", "0/2"}}));
  summary.slot = "s1";
  objects = json_of({.json = true}, [&](Progress& progress) { progress.complete(summary); });
  EXPECT_EQ(objects.at(0)["slot"], "s1");
}

// For people on standard error too: a program that reads the JSON may throw that away.
TEST(ProgressJson, tells_a_failure_with_its_exit_code) {
  testing::internal::CaptureStderr();
  auto objects = json_of({.json = true}, [](Progress& progress) {
    progress.fail(Failure(Kind::kDisk, "the disk is full", "Make room."), "nothing is left");
  });
  EXPECT_NE(testing::internal::GetCapturedStderr().find("error: the disk is full"), std::string::npos);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0], (json{{"type", "error"},
                              {"class", "disk"},
                              {"exit_code", 7},
                              {"message", "the disk is full"},
                              {"hint", "Make room."},
                              {"remains", "nothing is left"}}));
}

TEST(ProgressJson, of_many_threads_is_not_mixed_up) {
  auto objects = json_of({.json = true}, [](Progress& progress) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
      threads.emplace_back([&] {
        for (int turn = 0; turn < 200; ++turn) progress.warn(std::string(100, 'x'));
      });
    for (auto& thread : threads) thread.join();
  });
  EXPECT_EQ(objects.size(), 800u);
}

TEST(ProgressLines, are_whole_lines_without_escapes) {
  auto lines = lines_on_stderr({.show_lines = true}, [](Progress& progress) {
    progress.enter(Phase::kPreparing);
    progress.enter(Phase::kCopying);
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(kMega, 4 * kMega));
    progress.tick(reading_of(2 * kMega, 4 * kMega));
    progress.warn("careful");
  });
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "pg_standby_clone: preparing");
  EXPECT_EQ(lines[1], "pg_standby_clone: copying files");
  EXPECT_TRUE(lines[2].starts_with("pg_standby_clone: 25.0%, 1.0 MB of 4.0 MB, ")) << lines[2];
  EXPECT_NE(lines[2].find("/s, wire "), std::string::npos) << lines[2];
  EXPECT_EQ(lines[3], "pg_standby_clone: warning: careful");
}

TEST(ProgressLines, tell_what_was_kept) {
  auto lines = lines_on_stderr({.show_lines = true}, [](Progress& progress) {
    progress.enter(Phase::kCopying);
    progress.tick(reading_of_compare(4 * kMega, 8 * kMega));
  });
  EXPECT_TRUE(lines.at(1).starts_with("pg_standby_clone: 50.0%, 4.0 MB of 8.0 MB (3.0 MB kept), ")) << lines[1];
}

TEST(ProgressLines, never_go_beyond_a_hundred_percent_nor_divide_by_nothing) {
  auto line_of = [](std::uint64_t done, std::uint64_t total) {
    return lines_on_stderr({.show_lines = true}, [&](Progress& progress) {
             progress.enter(Phase::kCopying);
             progress.tick(reading_of(done, total));
           }).at(1);
  };
  EXPECT_NE(line_of(0, 0).find(" 0.0%"), std::string::npos);
  EXPECT_NE(line_of(5, 0).find(" 0.0%"), std::string::npos);
  EXPECT_NE(line_of(9, 3).find(" 100.0%"), std::string::npos);
}

TEST(ProgressLines, come_only_when_asked_for) {
  auto act = [](Progress& progress) {
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(1, 2));
    progress.detail("by the way");
  };
  EXPECT_EQ(lines_on_stderr({}, act), std::vector<std::string>{"pg_standby_clone: copying files"});
  EXPECT_EQ(lines_on_stderr({.verbose = true}, act),
            (std::vector<std::string>{"pg_standby_clone: copying files",
                                      "pg_standby_clone: by the way"}));
}

TEST(ProgressLines, tell_a_failure_with_its_hint_and_what_remains) {
  auto act = [](const std::string& hint, const std::string& remains) {
    return lines_on_stderr({}, [&](Progress& progress) {
      progress.fail(Failure(Kind::kDisk, "the disk is full", hint), remains);
    });
  };
  EXPECT_EQ(act("Make room.", "nothing is left"),
            (std::vector<std::string>{"pg_standby_clone: error: the disk is full",
                                      "pg_standby_clone: hint: Make room.",
                                      "pg_standby_clone: nothing is left"}));
  EXPECT_EQ(act("", ""), std::vector<std::string>{"pg_standby_clone: error: the disk is full"});
}

class ProgressBar : public testing::TestWithParam<unsigned short> {};

TEST_P(ProgressBar, fits_its_terminal_in_every_phase) {
  Terminal terminal(GetParam());
  if (!terminal.works()) GTEST_SKIP() << "no terminals here";
  for (int phase = 0; phase < protocol::kPhaseCount; ++phase) {
    Progress progress({});
    progress.enter(static_cast<Phase>(phase));
    progress.tick(reading_of(1234567890123, 9876543210987));
    std::string shown = shown_with_bar(terminal);
    EXPECT_TRUE(shown.starts_with(kWipe)) << shown;
    std::string bar = last_drawn(shown);
    EXPECT_LT(bar.size(), GetParam()) << bar;
    EXPECT_FALSE(bar.empty());
    EXPECT_EQ(bar.find('\n'), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, ProgressBar, testing::Values(20, 40, 79, 80, 100, 132, 500));

TEST(ProgressBar, grows_with_the_bytes) {
  Terminal terminal(200);
  if (!terminal.works()) GTEST_SKIP() << "no terminals here";
  for (std::uint64_t percent : {0, 50, 100, 150}) {
    Progress progress({});
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(percent, 100));
    std::string bar = last_drawn(shown_with_bar(terminal));
    EXPECT_EQ(std::count(bar.begin(), bar.end(), '#'), std::min<std::int64_t>(percent, 100) * 40 / 100)
        << bar;
    EXPECT_NE(bar.find("4 streams"), std::string::npos) << bar;
    EXPECT_NE(bar.find("ETA "), std::string::npos) << bar;
  }
}

TEST(ProgressBar, tells_the_way_and_what_was_kept) {
  for (unsigned short width : {80, 200}) {
    Terminal terminal(width);
    if (!terminal.works()) GTEST_SKIP() << "no terminals here";
    Progress progress({});
    progress.enter(Phase::kCopying);
    progress.tick(reading_of_compare(4 * kMega, 8 * kMega));
    std::string bar = last_drawn(shown_with_bar(terminal));
    EXPECT_TRUE(bar.starts_with("compare: copying ")) << bar;
    EXPECT_NE(bar.find(" 50.0% 4.0 MB of 8.0 MB (3.0 MB kept)  "), std::string::npos) << bar;
    EXPECT_NE(bar.find("  ETA "), std::string::npos) << bar;
    // What is missed the least is left out of a narrow one.
    EXPECT_EQ(bar.find("/s  wire ") != std::string::npos, width == 200) << bar;
    EXPECT_EQ(bar.find("  4 streams") != std::string::npos, width == 200) << bar;
    Reading replay;
    replay.method = Method::kReplay;
    progress.enter(Phase::kFinishing);
    progress.tick(replay);
    EXPECT_TRUE(last_drawn(shown_with_bar(terminal)).starts_with("replay: setting up the standby (")) << width;
  }
}

TEST(ProgressBar, makes_way_for_lines_and_is_gone_at_the_end) {
  Terminal terminal(100);
  if (!terminal.works()) GTEST_SKIP() << "no terminals here";
  {
    Progress progress({});
    progress.enter(Phase::kCopying);
    progress.tick(reading_of(1, 2));
    EXPECT_NE(terminal.shown().find("copying ["), std::string::npos);
    progress.warn("careful");
    EXPECT_EQ(terminal.shown(), std::string(kWipe) + "pg_standby_clone: warning: careful\n");
    progress.enter(Phase::kWal);
    progress.tick(reading_of(2, 2));
    EXPECT_TRUE(last_drawn(terminal.shown()).starts_with("receiving WAL up to the end of the backup ("));
  }
  EXPECT_EQ(terminal.shown(), kWipe);
}

}  // namespace
}  // namespace standby_clone
