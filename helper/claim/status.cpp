// status.cpp: a look in words.
#include "helper/claim/status.h"

#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "helper/base/lsn.h"
#include "helper/base/size.h"
#include "helper/base/text.h"
#include "helper/claim/look.h"
#include "helper/disk/journal.h"

namespace standby_clone {
namespace {

using Json = nlohmann::ordered_json;

std::string word(const std::string& path) { return "\"" + path + "\""; }

// A server renames its backup_label when it first starts: a clone that has it was never started.
bool was_never_started(const std::string& directory, const Look& look) {
  std::error_code error;
  return look.holds == Holds::kCompleteClone ||
         (look.is_standby && look.occupant == Occupant::kNobody && std::filesystem::exists(directory + "/backup_label", error));
}

constexpr char kNeverStarted[] = "complete standby, never started";

void add_clone(const std::string& directory, Json& status) {
  auto journal = Journal::read_if_there(directory + "/" + kJournalName, Journal::Parts::kAll);
  if (!journal) return;
  std::uint64_t bytes = 0, files = 0;
  journal->files.for_each([&](std::string_view, const KnownFile& file) {
    files += file.is_complete ? 1 : 0;
    bytes += file.is_complete ? file.size : 0;
    for (const auto& chunk : file.chunks) bytes += chunk.length;
  });
  bool is_delta = !journal->directories.empty() && journal->directories.front().origin == Origin::kFound;
  Json clone{{"way", is_delta ? "delta" : "full"}, {"bytes_durable", bytes}, {"files_complete", files}};
  if (journal->session) {
    const SessionRecord& session = *journal->session;
    clone["id"] = session.id;
    clone["system_identifier"] = std::to_string(session.system_identifier);
    clone["timeline"] = session.timeline;
    if (session.start_lsn != 0) clone["start_lsn"] = to_string(session.start_lsn);
    if (session.begun_with != "replay" && !session.begun_with.empty())
      clone["name"] = readable(session.begun_with.substr(0, session.begun_with.find('\n')));
  }
  status["clone"] = clone;
}

void add_cluster(const Look& look, Json& status) {
  status["system_identifier"] = std::to_string(look.system_identifier);
  if (!look.cluster) return;
  status["cluster_state"] = state_in_words(look);
  status["timeline"] = look.cluster->timeline;
  status["checkpoint_lsn"] = to_string(look.cluster->checkpoint);
}

std::string next_step(const std::string& directory, const Look& look, const std::string& state) {
  std::string shown = readable(directory);
  if (look.occupant == Occupant::kClone) return "wait for the clone that is at work there, or stop it";
  if (state == kNeverStarted) return "start its server: pg_ctl -D " + word(shown) + " start";
  if (state == "empty") return "make a clone: pg_standby_clone -D " + word(shown) + " -d CONNINFO --name NAME";
  if (state == "unfinished clone") return "go on: run the same pg_standby_clone command again";
  if (state == "stopped standby")
    return "start its server; if that lacks too much WAL, bring it up to date: pg_standby_clone --delta -D " + word(shown) +
           " -d CONNINFO";
  if (state == "stopped primary")
    return "if it is an older state of the donor's cluster, make it a standby: pg_standby_clone --delta -D " + word(shown) +
           " -d CONNINFO";
  if (state.starts_with("running")) return "nothing: its server runs";
  return "choose an empty directory, or empty this one";
}

}  // namespace

Json status_of(const std::string& directory) {
  Json status{{"type", "status"}, {"directory", readable(directory)}};
  try {
    Look look = look_at_directory(directory);
    std::string state = was_never_started(directory, look) ? kNeverStarted : name_of(state_of(look, 0));
    status["state"] = state;
    if (look.pid != 0) status["pid"] = look.pid;
    if (look.holds == Holds::kUnfinishedClone) add_clone(directory, status);
    if (look.system_identifier != 0) add_cluster(look, status);
    // What would keep even --delta away.
    auto why = refusal(directory, look, {true, false, false});
    if (why && state != kNeverStarted) status["refused"] = why->message;
    status["next"] = next_step(directory, look, state);
  } catch (const Failure& failure) {
    status["state"] = name_of(DirectoryState::kUnreadable);
    status["refused"] = failure.message;
    status["next"] = failure.hint.empty() ? "run this as the directory's owner" : failure.hint;
  }
  return status;
}

int run_status(const std::string& directory, bool as_json) {
  Json status = status_of(directory);
  std::string text;
  if (as_json) {
    text = status.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  } else {
    auto line = [&](const char* name, const std::string& value) { text += fmt::format("{:<18} {}\n", name, value); };
    auto member = [&](const Json& object, const char* key, const char* name) {
      if (!object.contains(key)) return;
      line(name, object[key].is_string() ? object[key].get<std::string>() : object[key].dump());
    };
    member(status, "directory", "directory");
    member(status, "state", "state");
    member(status, "pid", "process");
    if (status.contains("clone")) {
      const Json& clone = status["clone"];
      member(clone, "id", "clone");
      member(clone, "name", "name");
      member(clone, "way", "way");
      line("durable", fmt::format("{} in {} complete files and parts of others",
                                  human_size(clone["bytes_durable"].get<std::uint64_t>()),
                                  clone["files_complete"].get<std::uint64_t>()));
      member(clone, "start_lsn", "started at");
    }
    member(status.contains("clone") ? status["clone"] : status, "system_identifier", "system identifier");
    member(status, "cluster_state", "pg_control says");
    member(status, "timeline", "timeline");
    member(status, "checkpoint_lsn", "checkpoint at");
    member(status, "refused", "a clone is refused");
    member(status, "next", "next");
  }
  std::fputs(text.c_str(), stdout);
  return status["state"] == name_of(DirectoryState::kUnreadable) ? exit_code(Kind::kTargetRefused) : 0;
}

}  // namespace standby_clone
