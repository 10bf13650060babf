// changes.cpp: the judgement, and the way of each file.
#include "helper/delta/changes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fmt/format.h>

#include "helper/delta/base.h"
#include "helper/disk/local_file.h"
#include "protocol/relation.h"

namespace standby_clone {
namespace {

// Of the last ones, to find a page that has stayed what it was.
constexpr std::size_t kLastRecords = 10000;

std::string why_not_changes(const Target& target, const ControlFile& control, const DonorWal& donor,
                            Changes& changes) {
  // Such WAL names no blocks, and leaves their LSNs alone.
  if (control.wal_level_is_minimal) return "its WAL was written with wal_level = minimal";
  if (std::string name = other_start_of(target); !name.empty()) return fmt::format("it holds a {}", name);
  const DonorPast past = donor.survey(control.redo);
  if (!past.custom_managers.empty())
    return fmt::format("extensions write WAL of their own on the donor ({})", past.custom_managers);
  if (past.timeline > 1 && past.history.empty()) return "the donor lacks the history of its timeline";
  History theirs(past.timeline, past.history);
  WalDirectory wal(target.absolute("pg_wal"), theirs, control.wal_segment_size, control.wal_block_size);
  Traces traces;
  traces.end_of_wal = end_of_valid_wal(wal, control.redo);
  Base base = base_of(control, traces);
  if (base.was_primary && !base.is_in_order) return "it crashed as a primary";
  if (!base.reach) return "how far its pages reach is not known";
  History mine(base.reach_timeline, history_of(target, base.reach_timeline));
  Lsn parting = parting_of(mine, theirs);
  if (control.checkpoint >= parting || *base.reach > parting)
    return fmt::format("its pages reach {}, beyond where it left the donor's history, {}", to_string(*base.reach),
                       to_string(parting));
  // What was replayed beyond that can be in a hint bit, which moves no position that pg_control tells.
  if (traces.end_of_wal > parting)
    return fmt::format("its pg_wal goes on to {}, beyond where it left the donor's history, {}",
                       to_string(traces.end_of_wal), to_string(parting));
  if (*base.reach > past.flushed)
    return fmt::format("its pages reach {}, the donor's WAL only {}", to_string(*base.reach), to_string(past.flushed));
  if (traces.end_of_wal > past.flushed)
    return fmt::format("it has WAL up to {}, the donor only up to {}", to_string(traces.end_of_wal),
                       to_string(past.flushed));
  Lsn end = std::max(*base.reach, traces.end_of_wal);
  auto evidence = evidence_up_to(end, wal, control.redo);
  std::string words = "its WAL does not show whose it is";
  Branch branch = evidence ? compare_branches(wal, donor, *evidence, evidence->from, words) : Branch::kGone;
  if (branch == Branch::kOther) return words;
  if (branch == Branch::kGone) {
    // What it wrote itself may be in its files without a trace in its WAL.
    if (base.was_primary) return words + ", and it was a primary";
    auto from = first_record_in_segment(wal, control.redo);
    changes.to_prove = last_records(wal, from.value_or(control.redo), end, kLastRecords);
    if (changes.to_prove.empty()) return words;
  }
  changes.was_primary = base.was_primary;
  changes.since = base.everything_up_to;
  changes.young_from = control.first_young_transaction();
  changes.reach = *base.reach;
  return "";
}

// The first page of an SP-GiST index notes, without WAL, where the server that writes has room for more: that of an old
// primary may be a page that the donor does not have (spgutils.c, SpGistUpdateMetaPage).
bool begins_spgist(const LocalFile& file, std::uint32_t block_size) {
  constexpr std::uint16_t kSpgistPageId = 0xFF82;  // the last bytes of each of its pages
  std::array<std::byte, sizeof(kSpgistPageId)> id{};
  return file.read(block_size - id.size(), id) == id.size() && std::bit_cast<std::uint16_t>(id) == kSpgistPageId;
}

}  // namespace

std::optional<Changes> judge_changes(const Target& target, const DonorWal& donor, std::string& why_not) {
  Changes changes;
  changes.control_file = target.read_file("global/pg_control");
  auto control = ControlFile::parse(changes.control_file);
  why_not = control ? why_not_changes(target, *control, donor, changes) : "its pg_control cannot be read";
  if (!why_not.empty()) return std::nullopt;
  return changes;
}

std::string why_not_by_pages(const ChangesFacts& facts, bool has_checksums, int server_version) {
  // A page that becomes all-visible keeps its LSN; with the donor's visibility map rows would come back later.
  if (!has_checksums) return "without data checksums the LSN of a page does not tell all that changed in it";
  // Who has them now may have been without them for a while.
  if (server_version >= 190000) return "data checksums can be switched while that server runs";
  if (facts.all_databases_young) return "it lies more than 2^31 transactions back";
  return "";
}

Ways ways_of(const FileList& files, const Target& target, const Changes& changes, const ChangesFacts& facts) {
  Ways ways;
  ways.block_size = target.cluster().block_size;
  ways.since = changes.since;
  ways.files.resize(files.files.size());
  for (std::size_t index = 0; index < files.files.size(); ++index) {
    const File& file = files.files[index];
    auto fork = file.is_relation ? protocol::main_fork_of(files.path(file)) : std::nullopt;
    if (!fork) continue;
    FileWay way;
    if (facts.is_whole) {
      auto blocks = facts.list.blocks_of(*fork, target.cluster().segment_blocks);
      if (!blocks) continue;
      way.way = Way::kListed;
      way.blocks = std::move(*blocks);
    } else {
      if (facts.young_databases.contains(fork->database)) continue;
      way.way = Way::kNewer;
    }
    auto here = target.open_local(std::string(files.path(file)));
    if (!here || (changes.was_primary && fork->segment == 0 && begins_spgist(*here, ways.block_size))) continue;
    way.here = here->size() / ways.block_size * ways.block_size;
    ways.files[index] = std::move(way);
  }
  return ways;
}

}  // namespace standby_clone
