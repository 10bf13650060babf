// change_list.h: what the donor says has changed, put together: of each fork the smallest limit and all blocks that
// were named, in whatever order and however often they came. Nothing is ever taken out again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "helper/plan/ways.h"
#include "protocol/frame.h"
#include "protocol/relation.h"

namespace standby_clone {

class ChangeList {
 public:
  // Malformed bytes are kCorrupted.
  void add(const protocol::Changed& changed);
  // That came, counted as they came.
  std::uint64_t fork_count() const { return fork_count_; }

  // Of a segment of a main fork its blocks, numbered within it. None where nothing can be said of single
  // blocks: the database was made or removed in that tablespace.
  std::optional<BlockSet> blocks_of(const protocol::MainFork& fork, std::uint32_t segment_blocks) const;

 private:
  struct Fork {
    std::uint32_t limit = protocol::kNoLimit;
    std::map<std::uint32_t, BlockSet> windows;  // of kWindow blocks; their number, and their blocks
  };

  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, Fork> forks_;  // tablespace, database, relation
  std::set<std::pair<std::uint32_t, std::uint32_t>> databases_;                    // tablespace, database
  std::uint64_t fork_count_ = 0;
};

// What the donor says has changed, once the backup has begun.
struct ChangesFacts {
  ChangeList list;
  bool is_whole = false;  // the list is, by WAL summaries; otherwise the LSNs of pages have to tell
  std::string why_not;
  bool all_databases_young = false;         // nobody knows which are
  std::set<std::uint32_t> young_databases;  // may have been copied file by file since
};

}  // namespace standby_clone
