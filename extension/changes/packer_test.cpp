// What is packed is what comes out, however small the batches.
#include "extension/changes/packer.h"

#include <gtest/gtest.h>
#include <map>
#include <tuple>
#include <vector>

namespace changes {
namespace {

using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
using Forks = std::vector<std::pair<Fork, Ranges>>;

struct Received {
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint8_t>, std::pair<std::uint32_t, Ranges>> forks;
  std::uint64_t fork_count = 0;
  std::size_t largest = 0;

  static void take(void* context, protocol::Bytes bytes) {
    auto& received = *static_cast<Received*>(context);
    received.largest = std::max(received.largest, bytes.size());
    protocol::ChangedFork fork;
    while (protocol::next_fork(bytes, fork)) {
      ++received.fork_count;
      auto& [limit, ranges] = received.forks[{fork.tablespace, fork.database, fork.relation, fork.fork}];
      limit = fork.limit;
      protocol::Reader read(fork.ranges);
      for (std::uint32_t index = 0; index < fork.range_count; ++index) {
        std::uint32_t first = 0, count = 0;
        read(first, count);
        ranges.emplace_back(first, count);
      }
    }
    EXPECT_TRUE(bytes.empty());
  }
};

void expect_round_trip(const Forks& forks, std::size_t buffer_size) {
  Received received;
  std::vector<std::byte> buffer(buffer_size);
  Packer packer(buffer, Received::take, &received);
  for (const auto& [fork, ranges] : forks) {
    packer.begin(fork);
    for (auto [first, count] : ranges) packer.add(first, count);
    packer.end();
  }
  packer.flush();
  EXPECT_EQ(received.fork_count, packer.fork_count());
  EXPECT_LE(received.largest, buffer_size);
  ASSERT_EQ(received.forks.size(), forks.size());
  for (const auto& [fork, ranges] : forks) {
    EXPECT_EQ(received.forks[fork.key()].first, fork.limit);
    EXPECT_EQ(received.forks[fork.key()].second, ranges);
  }
}

TEST(Packer, a_fork_larger_than_a_batch_is_divided) {
  Ranges many;
  for (std::uint32_t index = 0; index < 1000; ++index) many.emplace_back(index * 3, 2);
  Forks forks{{{1, 1663, 16384, 0, UINT32_MAX}, {{0, 1}}},
              {{1, 1663, 16385, 0, 7}, many},
              {{1, 1663, 16385, 2, 0}, {}},
              {{5, 1663, 0, 0, 0}, {}}};
  constexpr std::size_t kLeast = protocol::ChangedFork::kHeaderSize + protocol::ChangedFork::kRangeSize;
  for (std::size_t size : {kLeast, kLeast + 1, std::size_t{100}, std::size_t{4096}, std::size_t{32768}})
    expect_round_trip(forks, size);
}

TEST(Packer, of_nothing_sends_nothing) { expect_round_trip({}, 64); }

TEST(Packer, what_is_cut_short_is_not_taken) {
  std::vector<std::byte> buffer(64);
  std::vector<std::byte> sent;
  Packer packer(buffer, [](void* to, protocol::Bytes bytes) {
    static_cast<std::vector<std::byte>*>(to)->assign(bytes.begin(), bytes.end());
  }, &sent);
  packer.begin({1, 1663, 16384, 0, UINT32_MAX});
  packer.add(1, 1);
  packer.end();
  packer.flush();
  for (std::size_t size = 0; size < sent.size(); ++size) {
    protocol::Bytes rest(sent.data(), size);
    protocol::ChangedFork fork;
    EXPECT_FALSE(protocol::next_fork(rest, fork)) << size;
  }
}

}  // namespace
}  // namespace changes
