#include <gtest/gtest.h>

#include <csignal>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/server/server.h"

namespace standby_clone {
namespace {

TEST(LockFile, of_a_server) {
  auto server = server_in_lock("4711\n/data\n1700000000\n5432\n/tmp\nlocalhost\n 123 4\nready   \n");
  ASSERT_TRUE(server);
  EXPECT_EQ(server->pid, 4711);
  EXPECT_EQ(server->status, "ready");
}

TEST(LockFile, of_a_clone_of_nothing_and_half_written) {
  EXPECT_FALSE(server_in_lock("-4711\n/data\n1700000000\n0\n"));
  EXPECT_FALSE(server_in_lock(""));
  EXPECT_FALSE(server_in_lock("\n"));
  EXPECT_FALSE(server_in_lock("rubbish"));
  auto early = server_in_lock("4711\n/data\n");
  ASSERT_TRUE(early);
  EXPECT_EQ(early->status, "");
}

TEST(Versions, as_programs_print_them) {
  EXPECT_EQ(major_version_in("postgres (PostgreSQL) 15.20 (Debian 15.20-1)\n"), 15);
  EXPECT_EQ(major_version_in("postgres (PostgreSQL) 18beta1\n"), 18);
  EXPECT_EQ(major_version_in("postgres (PostgreSQL) 9.6.24\n"), 9);
  EXPECT_FALSE(major_version_in("sh: postgres: not found"));
  EXPECT_FALSE(major_version_in("postgres (PostgreSQL) devel"));
}

TEST(Reason, is_the_last_fatal_line) {
  EXPECT_EQ(reason_in("2026 [1] LOG:  starting\n2026 [1] FATAL:  no such file\n"
                      "2026 [1] LOG:  database system is shut down\n"),
            "no such file");
  EXPECT_EQ(reason_in("x PANIC:  one\ny FATAL:  two\n"), "two");
}

TEST(Reason, is_the_last_line_where_nothing_is_fatal) {
  EXPECT_EQ(reason_in("one\n  two\n\n  \n"), "two");
  EXPECT_EQ(reason_in(""), "");
}

TEST(ShellWord, survives_every_character) {
  StopSource stop;
  std::string odd = "a b'c\"d$HOME`id`\\e;&|\n*";
  EXPECT_EQ(run_program({"/bin/sh", "-c", "printf %s " + shell_word(odd)}, 10000, stop).output, odd);
  EXPECT_EQ(shell_word("/var/lib/pg-1.2/a_b"), "/var/lib/pg-1.2/a_b");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("~"), "'~'");
}

TEST(Program, tells_its_code_and_all_it_said) {
  StopSource stop;
  auto ended = run_program({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, 10000, stop);
  EXPECT_EQ(ended.code, 3);
  EXPECT_EQ(ended.output, "out\nerr\n");
}

TEST(Program, that_hangs_is_killed) {
  StopSource stop;
  EXPECT_EQ(run_program({"/bin/sh", "-c", "exec sleep 600"}, 50, stop).code, 128 + 9);
}

// A daemon that keeps the pipe open must not make us wait for its end.
TEST(Program, is_not_waited_for_through_what_it_started) {
  StopSource stop;
  auto started = std::chrono::steady_clock::now();
  auto ended = run_program({"/bin/sh", "-c", "sleep 20 & echo $!"}, 10000, stop);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
  EXPECT_EQ(ended.code, 0);
  kill(std::atoi(ended.output.c_str()), SIGKILL);
}

// A server inherits what it is started with: an ignored SIGPIPE would be its own for life.
TEST(Program, starts_with_signals_as_they_are_by_default) {
  auto before = std::signal(SIGPIPE, SIG_IGN);
  StopSource stop;
  std::string ignored =
      run_program({"/bin/sh", "-c", "grep SigIgn /proc/self/status"}, 10000, stop).output;
  std::signal(SIGPIPE, before);
  // The C library ignores two of its own, 32 and 33.
  ASSERT_TRUE(ignored.starts_with("SigIgn:\t")) << ignored;
  EXPECT_EQ(std::stoull(ignored.substr(8), nullptr, 16) & 0x7fffffff, 0u) << ignored;
}

TEST(Program, that_is_not_there_is_named) {
  StopSource stop;
  try {
    run_program({"/no/such/program"}, 1000, stop);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.kind, Kind::kStartFailed);
    EXPECT_NE(failure.message.find("/no/such/program"), std::string::npos);
  }
}

}  // namespace
}  // namespace standby_clone
