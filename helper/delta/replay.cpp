// replay.cpp: the judgement, and the few files.
#include "helper/delta/replay.h"

#include <fmt/format.h>

#include "helper/delta/base.h"

namespace standby_clone {
namespace {

constexpr char kControlFile[] = "global/pg_control";

// Of what is in pg_wal, the history files of timelines that `theirs` does not have.
std::vector<std::string> strange_histories(const Tree& tree, const History& theirs) {
  std::vector<std::string> strange;
  for (const auto& name : tree.entries("pg_wal")) {
    if (!name.ends_with(".history")) continue;
    bool is_theirs = false;
    for (Timeline timeline : theirs.newest_first()) is_theirs |= name == history_file_name(timeline);
    if (!is_theirs) strange.push_back("pg_wal/" + name);
  }
  return strange;
}

// Where the record of the last (restart)point ends; 0 if it is not there.
Lsn end_of_checkpoint(const WalDirectory& wal, const ControlFile& control) {
  WalRecords records(wal, control.redo);
  while (auto record = records.next()) {
    if (record->begin == control.checkpoint) return record->is_checkpoint() ? record->end : 0;
    if (record->begin > control.checkpoint) break;
  }
  return 0;
}

std::string why_not_replay(const Target& target, const ControlFile& control, const DonorWal& donor,
                           Replay& replay) {
  if (control.wal_level_is_minimal) return "its WAL was written with wal_level = minimal";
  if (std::string name = other_start_of(target); !name.empty()) return fmt::format("it holds a {}", name);
  replay.past = donor.survey(control.redo);
  if (replay.past.timeline > 1 && replay.past.history.empty())
    return "the donor lacks the history of its timeline";
  History theirs(replay.past.timeline, replay.past.history);
  // As the recovery will read it.
  WalDirectory wal(target.absolute("pg_wal"), theirs, control.wal_segment_size, control.wal_block_size);
  Lsn checkpoint_end = end_of_checkpoint(wal, control);
  if (checkpoint_end == 0)
    return fmt::format("its pg_wal lacks the WAL of its last checkpoint, at {}", to_string(control.checkpoint));
  Traces traces;
  traces.end_of_wal = end_of_valid_wal(wal, control.redo);
  Base base = base_of(control, traces);
  History mine(base.reach_timeline, history_of(target, base.reach_timeline));
  Lsn parting = parting_of(mine, theirs);
  if (std::string why = why_not_replayed(control, base, checkpoint_end, parting); !why.empty()) return why;
  if (traces.end_of_wal > parting)
    return fmt::format("its pg_wal goes on to {}, beyond where it left the donor's history, {}",
                       to_string(traces.end_of_wal), to_string(parting));
  if (traces.end_of_wal > replay.past.flushed)
    return fmt::format("it has WAL up to {}, the donor only up to {}", to_string(traces.end_of_wal),
                       to_string(replay.past.flushed));
  if (*base.reach > traces.end_of_wal)
    return fmt::format("its pages reach {}, its pg_wal only {}", to_string(*base.reach),
                       to_string(traces.end_of_wal));
  // What its own pg_wal has the donor need not have; a slot that was this standby's holds no more.
  replay.from = control.redo;
  if (!replay.past.has_wal) {
    replay.from = segment_start(traces.end_of_wal, control.wal_segment_size);
    if (!donor.survey(replay.from).has_wal)
      return fmt::format("the donor does not have all WAL from {} on", to_string(replay.from));
  }
  auto evidence = evidence_up_to(traces.end_of_wal, wal, control.redo);
  if (!evidence) return "its WAL does not show whose it is";
  std::string difference;
  compare_branches(wal, donor, *evidence, replay.from, difference);
  return difference;
}

}  // namespace

std::optional<Replay> judge_replay(const Target& target, const DonorWal& donor, std::string& why_not) {
  Replay replay;
  // Read again: a server may have run since the directory was looked at.
  replay.control_file = target.read_file(kControlFile);
  auto control = ControlFile::parse(replay.control_file);
  why_not = control ? why_not_replay(target, *control, donor, replay) : "its pg_control cannot be read";
  if (!why_not.empty()) return std::nullopt;
  return replay;
}

void make_replayable(const Target& target, const Replay& replay) {
  const Tree& tree = target.tree();
  for (const char* name : {"backup_manifest", "standby.signal"}) target.remove_file(name);
  for (const auto& name : tree.entries("global"))
    if (name.starts_with("pg_standby_clone.")) target.remove_file("global/" + name);
  // Slots of another life would hold WAL here for ever.
  for (const auto& name : tree.entries("pg_replslot")) tree.remove("pg_replslot/" + name);
  // A history that is not the donor's, with the number of a newer timeline, would be followed.
  History theirs(replay.past.timeline, replay.past.history);
  for (const auto& path : strange_histories(tree, theirs)) target.remove_file(path);
  if (replay.past.timeline > 1)
    target.write_file("pg_wal/" + history_file_name(replay.past.timeline), replay.past.history);
  for (const char* directory : {"global", "pg_replslot", "pg_wal"}) target.sync_directory(directory);
}

}  // namespace standby_clone
