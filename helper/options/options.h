// options.h: the command line, as values. Where pg_basebackup has an option, ours has
// the same letter, long name and meaning.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/request.h"

namespace standby_clone {

enum class ManifestChecksums { kNone, kCrc32c, kSha224, kSha256, kSha384, kSha512 };

enum class Command { kClone, kCheck, kAgent, kStatus };

// How a cluster that is there is brought up to date.
enum class Delta {
  kAuto,     // the cheapest way that is right beyond doubt
  kReplay,   // by its own recovery: nothing is copied
  kChanges,  // what the donor's WAL changed since
  kCompare,  // what differs from the donor by hash
};

struct Options {
  Command command = Command::kClone;

  // Where it goes.
  std::string data_directory;
  std::vector<std::pair<std::string, std::string>> tablespace_mapping;  // OLDDIR, NEWDIR
  std::string wal_directory;  // empty: pg_wal in the data directory

  // Where it comes from.
  std::string connection;  // -d: conninfo, URI or database name
  std::string host, port, user;
  bool never_ask_password = false;
  bool ask_password = false;

  // What is made.
  std::string name;   // of the standby: application_name
  bool is_named = false;  // by --name
  std::string slot;   // empty: none
  bool slot_given = false;
  bool create_slot = false;  // and must not be there
  bool stream_wal = true;  // -X stream
  bool write_password = false;
  std::vector<std::pair<std::string, std::string>> settings;  // --set: of the standby's postgresql.auto.conf, names in lower case
  bool failover_slots = false;  // the standby keeps copies of the donor's logical slots (17 and later)
  bool write_manifest = true;
  bool encode_manifest = false;  // all its paths in hexadecimal
  ManifestChecksums manifest_checksums = ManifestChecksums::kCrc32c;
  bool manifest_checksums_given = false;  // by name: of every file, though it has to be read for it

  // How.
  std::string label;
  bool fast_checkpoint = true;
  std::uint64_t max_rate = 0;  // bytes per second, 0: no limit
  std::uint16_t jobs = 0;      // 0: as many as make it faster
  bool gentle = false;         // slow down while others suffer
  protocol::Compression compression = protocol::Compression::kAuto;
  std::int8_t compression_level = 0;
  bool verify_checksums = true;
  bool sync = true;
  bool sync_by_file = false;  // never by syncfs(2)
  bool check_space = true;
  bool delta = false;  // bring a cluster that is there up to date
  Delta way = Delta::kAuto;  // of that
  bool assume_stopped = false;  // ... also where it is not known that no server runs in it; never by request
  bool donor_config = false;  // and give it the donor's configuration
  // How long a lost donor is tried to be reached again; nothing: as long as its lease.
  std::optional<std::chrono::milliseconds> reconnect_timeout;
  // How long one connection may owe an answer in silence while the donor answers on others; 0: no limit.
  std::chrono::milliseconds receive_timeout{60'000};

  // After it.
  bool start = false;
  int start_timeout_s = 600;   // 0: no limit
  std::string binaries;        // --bindir; empty: looked for
  std::string config_file;     // absolute; empty: in the data directory
  std::string start_command, stop_command;  // for the shell; empty: pg_ctl

  // Of the agent: what a request may make it do.
  bool allow_overwrite = false;
  bool manage_server = false;
  std::int64_t request_id = 0;  // of request_standby_clone(); 0: the command's own clone
  std::string request_uuid;     // its identity beyond the number

  std::string on_end;  // for the shell, once the result is final; empty: nothing

  // What is shown.
  bool progress = false;
  bool verbose = false;
  bool json = false;
};

struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;  // when there are none: the text is printed already
};

// Prints help, version or the one error itself.
Parsed parse_options(int argc, const char* const* argv);

// "auto", "none", "zstd" or "zstd:LEVEL". Fails with kUsage.
void set_compression(const std::string& text, Options& options);

// "NAME becomes a slot name": lower case, every other character '_', at most 63 bytes.
std::string slot_name_of(const std::string& name);

// "auto", "replay", "changes" or "compare". Empty if it is none of them.
std::optional<Delta> parse_delta(const std::string& text);

// A number of streams, 0 for "auto". Empty if it is none or more than protocol::kStreamsMax.
std::optional<std::uint16_t> parse_jobs(const std::string& text);

// pg_basebackup's rate: a number of kB, or with suffix k or M; in bytes per second. Empty if it
// is none or outside 32 kB .. 1 GB.
std::optional<std::uint64_t> parse_rate(const std::string& text);

// A time as PostgreSQL writes it: a number of seconds, or with suffix ms, s, min, h or d.
std::optional<std::chrono::milliseconds> parse_time(const std::string& text);

// What goes into the standby's postgresql.auto.conf beside its connection and slot, the last of a name counts: --set, and
// before it what other options mean.
std::vector<std::pair<std::string, std::string>> settings_of(const Options& options);

// "NAME=VALUE" of a setting that the clone leaves to others, the name in lower case. Fails with kUsage.
std::pair<std::string, std::string> parse_setting(const std::string& text);

// "OLDDIR=NEWDIR"; a '=' within a name is written "\=".
std::optional<std::pair<std::string, std::string>> parse_mapping(const std::string& text);

}  // namespace standby_clone
