// base_test.cpp: LSNs, WAL names, sizes, the stop request.
#include <csignal>
#include <gtest/gtest.h>

#include <poll.h>
#include <thread>

#include "helper/base/lsn.h"
#include "helper/base/silence.h"
#include "helper/base/size.h"
#include "helper/base/stop.h"

namespace standby_clone {
namespace {

TEST(Silence, counts_waits_and_no_more_of_each_than_was_meant) {
  using std::chrono::milliseconds;
  Silence silence(milliseconds(3000));
  silence.waited(std::chrono::hours(1), milliseconds(1000));  // stopped meanwhile
  silence.waited(milliseconds(1000), milliseconds(1000));
  EXPECT_FALSE(silence.is_too_long());
  silence.end();
  silence.waited(milliseconds(1000), milliseconds(1000));
  silence.waited(milliseconds(1000), milliseconds(1000));
  EXPECT_FALSE(silence.is_too_long());
  silence.waited(milliseconds(1000), milliseconds(1000));
  EXPECT_TRUE(silence.is_too_long());
  Silence unlimited(milliseconds(0));
  unlimited.waited(std::chrono::hours(100), std::chrono::hours(100));
  EXPECT_FALSE(unlimited.is_too_long());
}

TEST(Lsn, text_and_back) {
  EXPECT_EQ(to_string(0x0A000028), "0/A000028");
  EXPECT_EQ(to_string(0x16B374D848), "16/B374D848");
  EXPECT_EQ(parse_lsn("16/B374D848"), Lsn{0x16B374D848});
  for (auto text : {"", "/", "1/", "/1", "1/x", "123456789/0", "0/123456789", "0/1 ", "0x1/1"})
    EXPECT_EQ(parse_lsn(text), std::nullopt) << text;
}

TEST(WalFileName, of_every_segment_size) {
  EXPECT_EQ(wal_file_name(1, 0x0A000028, 16 << 20), "00000001000000000000000A");
  EXPECT_EQ(wal_file_name(2, 0x1FF000000, 16 << 20), "0000000200000001000000FF");
  EXPECT_EQ(wal_file_name(1, 0x0A000028, 1 << 20), "0000000100000000000000A0");
  EXPECT_EQ(wal_file_name(1, 0x1C0000000, 1 << 30), "000000010000000100000003");
  EXPECT_EQ(history_file_name(17), "00000011.history");
}

TEST(Size, for_people) {
  EXPECT_EQ(human_size(0), "0 bytes");
  EXPECT_EQ(human_size(1023), "1023 bytes");
  EXPECT_EQ(human_size(1536), "1.5 kB");
  EXPECT_EQ(human_size(std::uint64_t{4} << 30), "4.0 GB");
  EXPECT_EQ(human_time(59), "59 s");
  EXPECT_EQ(human_time(200), "3 min 20 s");
  EXPECT_EQ(human_time(7500), "2 h 5 min");
}

TEST(StopSource, wakes_a_waiting_thread_at_once) {
  StopSource stop;
  EXPECT_FALSE(stop.requested());
  std::thread asker([&] { stop.request(); });
  EXPECT_EQ(wait_for(-1, 0, 10000, stop), 0);
  asker.join();
  EXPECT_TRUE(stop.requested());
}

TEST(Bell, wakes_a_waiting_thread_once) {
  StopSource stop;
  Bell bell;
  std::thread ringer([&] { bell.ring(); });
  auto begun = std::chrono::steady_clock::now();
  wait_for(-1, 0, 60000, stop, &bell);
  ringer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  // It is silent now: this wait takes its time.
  begun = std::chrono::steady_clock::now();
  wait_for(-1, 0, 50, stop, &bell);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(45));
}

TEST(Bell, rung_before_the_wait_is_heard_in_it) {
  StopSource stop;
  Bell bell;
  bell.ring();
  auto begun = std::chrono::steady_clock::now();
  wait_for(-1, 0, 60000, stop, &bell);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
}

TEST(StopSource, names_the_signal_that_was_the_first_also_its_parents) {
  StopSource parent;
  StopSource child(&parent);
  EXPECT_EQ(words_of(child), "stopped");
  parent.request(SIGTERM);
  parent.request(SIGINT);
  child.request();
  EXPECT_EQ(words_of(child), "stopped by SIGTERM");
  StopSource failed;
  failed.request();
  failed.request(SIGINT);
  EXPECT_EQ(words_of(failed), "stopped") << "it stopped for another reason";
}

}  // namespace
}  // namespace standby_clone
