// pages.cpp: which pages, and reading them.
#include "helper/delta/pages.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "helper/disk/local_file.h"
#include "protocol/page_mask.h"
#include "protocol/relation.h"

namespace standby_clone {
namespace {

using protocol::MainFork;
using Page = std::vector<std::byte>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSampleLeast = 32, kSampleMost = 512;
constexpr auto kSampleTime = std::chrono::milliseconds(500);

// A page that the donor is writing just now may be read half old, half new: it is read again.
constexpr int kReads = 4;
constexpr auto kBetweenReads = std::chrono::milliseconds(50);

// One block, there and here.
class Pages {
 public:
  Pages(const Target& target, const ReadDonor& read)
      : target_(target), read_(read), size_(target.cluster().block_size) {}

  // What `say` says of both, once it is not `bad`, or the donor's page stays what it is. `none`: one is not there.
  template <class Word, class Say>
  Word judge(const std::string& path, std::uint64_t offset, Word bad, Word none, Say say) const {
    auto here = target_.open_local(path);
    Page ours(size_);
    if (!here || here->read(offset, ours) < size_) return none;
    std::string before;
    for (int reads = 1;; ++reads) {
      std::string theirs = read_(path, offset, size_);
      if (theirs.size() < size_) return none;
      Page mine = ours, donors(size_);
      std::copy_n(reinterpret_cast<const std::byte*>(theirs.data()), size_, donors.begin());
      Word word = say(mine, donors);
      if (word != bad || reads == kReads || theirs == before) return word;
      before = std::move(theirs);
      std::this_thread::sleep_for(kBetweenReads);
    }
  }

 private:
  const Target& target_;
  const ReadDonor& read_;
  const std::uint32_t size_;
};

// The segments that these blocks lie in, by their paths; of what the donor has dropped, none.
using Segment = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
std::map<Segment, std::string> paths_of(const std::vector<LastRecord>& records, const FileList& files,
                                        std::uint32_t segment_blocks) {
  std::map<Segment, std::string> paths;
  for (const auto& record : records)
    for (const auto& block : record.blocks)
      paths[{block.tablespace, block.database, block.relation, block.block / segment_blocks}];
  for (const File& file : files.files) {
    auto fork = file.is_relation ? protocol::main_fork_of(files.path(file)) : std::nullopt;
    if (!fork) continue;
    auto wanted = paths.find({fork->tablespace, fork->database, fork->relation, fork->segment});
    if (wanted != paths.end()) wanted->second = files.path(file);
  }
  return paths;
}

// clog.c: two bits for each; transactions of a crash have none.
std::optional<bool> is_committed(std::uint32_t transaction, std::uint32_t block_size, const ReadDonor& read) {
  constexpr std::uint32_t kPagesOfSegment = 32, kOfByte = 4;
  const std::uint32_t of_segment = kPagesOfSegment * block_size * kOfByte;
  std::string byte = read(fmt::format("pg_xact/{:04X}", transaction / of_segment), transaction % of_segment / kOfByte, 1);
  if (byte.empty()) return std::nullopt;
  return (static_cast<unsigned char>(byte[0]) >> transaction % kOfByte * 2 & 3) == 1;
}

}  // namespace

std::string why_not_of_one_history(const Changes& changes, const FileList& files, const Target& target,
                                   const ReadDonor& read) {
  const ControlFile& cluster = target.cluster();
  const Pages pages(target, read);
  const Horizon horizon{changes.since, changes.reach};
  auto paths = paths_of(changes.to_prove, files, cluster.segment_blocks);
  DonorView donor;
  donor.look = [&](const WalBlock& block) -> BlockWord {
    const std::string& path =
        paths[{block.tablespace, block.database, block.relation, block.block / cluster.segment_blocks}];
    if (path.empty()) return {};
    std::uint64_t offset = std::uint64_t{block.block % cluster.segment_blocks} * cluster.block_size;
    BlockWord said;
    said.word = pages.judge(path, offset, PageWord::kAgainst, PageWord::kNothing, [&](Page& ours, Page& theirs) {
      said.position = protocol::page::position_of(ours);
      return word_of(ours, theirs, block.block, horizon);
    });
    return said;
  };
  donor.is_committed = [&](std::uint32_t transaction) { return is_committed(transaction, cluster.block_size, read); };
  return why_not_proved(changes.to_prove, donor);
}

std::string why_not_by_sample(const Changes& changes, const ChangesFacts& facts, Lsn start, const FileList& files,
                              const Target& target, const ReadDonor& read) {
  const std::uint32_t block_size = target.cluster().block_size, segment_blocks = target.cluster().segment_blocks;
  const Pages pages(target, read);
  // Each with the number of blocks of all up to it.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> candidates;
  std::uint64_t total = 0;
  for (std::uint32_t index = 0; index < files.files.size(); ++index) {
    const File& file = files.files[index];
    if (!file.is_relation || file.size < block_size || !protocol::main_fork_of(files.path(file))) continue;
    total += file.size / block_size;
    candidates.emplace_back(total, index);
  }
  if (total == 0) return "";
  std::mt19937_64 random(std::random_device{}());
  const auto began = Clock::now();
  std::size_t seen = 0;
  for (std::size_t tries = 0; tries < 2 * kSampleMost && seen < kSampleMost; ++tries) {
    if (seen >= kSampleLeast && Clock::now() - began > kSampleTime) break;
    std::uint64_t at = random() % total;
    auto found = std::upper_bound(candidates.begin(), candidates.end(), std::pair(at, UINT32_MAX));
    std::string path(files.path(files.files[found->second]));
    auto block = static_cast<std::uint32_t>(found->first - 1 - at);  // counted from its end
    MainFork fork = *protocol::main_fork_of(path);
    if (facts.is_whole) {
      auto blocks = facts.list.blocks_of(fork, segment_blocks);
      if (!blocks || blocks->has(block)) continue;
    } else if (facts.young_databases.contains(fork.database)) {
      continue;
    }
    ++seen;
    auto newer_since = facts.is_whole ? std::nullopt : std::optional(changes.since);
    bool stays = pages.judge(path, std::uint64_t{block} * block_size, false, true, [&](Page& ours, Page& theirs) {
      return may_stay(ours, theirs, fork.segment * segment_blocks + block, start, newer_since);
    });
    if (!stays)
      return fmt::format("file \"{}\", block {} would stay, and is not what the donor has: hands or rot", path, block);
  }
  return "";
}

}  // namespace standby_clone
