// packer.h: forks that changed, as the wire has them: put together into batches of a bounded size, for a fork may
// have more ranges than a frame takes. No header of the server's: a unit test walks it.
#pragma once

#include <cstddef>
#include <span>

#include "extension/changes/merge.h"
#include "protocol/frame.h"

namespace changes {

class Packer {
 public:
  using Send = void (*)(void* context, protocol::Bytes forks);

  // Both outlive it. `buffer` takes one fork with one range at least.
  Packer(std::span<std::byte> buffer, Send send, void* context)
      : buffer_(buffer), send_(send), context_(context) {}

  // What a Merge gives.
  void begin(const Fork& fork) {
    if (room() < protocol::ChangedFork::kHeaderSize + protocol::ChangedFork::kRangeSize) flush();
    fork_ = fork;
    begin_at_ = used_;
    range_count_ = 0;
    used_ += protocol::ChangedFork::kHeaderSize;
    ++fork_count_;
  }
  void add(std::uint32_t first, std::uint32_t count) {
    if (room() < protocol::ChangedFork::kRangeSize) {
      end();
      flush();
      begin(Fork(fork_));
    }
    protocol::Writer writer(buffer_.subspan(used_));
    writer(first, count);
    used_ += writer.size();
    ++range_count_;
  }
  void end() {
    protocol::ChangedFork fork;
    fork.tablespace = fork_.tablespace;
    fork.database = fork_.database;
    fork.relation = fork_.relation;
    fork.fork = fork_.fork;
    fork.limit = fork_.limit;
    fork.range_count = range_count_;
    protocol::Writer writer(buffer_.subspan(begin_at_));
    protocol::ChangedFork::header(writer, fork);
  }

  // After the last fork.
  void flush() {
    if (used_ > 0) send_(context_, protocol::Bytes(buffer_.first(used_)));
    used_ = 0;
  }
  // That went out: one that was divided counts more than once.
  std::uint64_t fork_count() const { return fork_count_; }

 private:
  std::size_t room() const { return buffer_.size() - used_; }

  std::span<std::byte> buffer_;
  Send send_;
  void* context_;
  Fork fork_;
  std::size_t used_ = 0, begin_at_ = 0;
  std::uint32_t range_count_ = 0;
  std::uint64_t fork_count_ = 0;
};

}  // namespace changes
