// options.cpp: the command line by CLI11. What pg_basebackup has and we do not gets a
// line that says so.
#include "helper/options/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/host_name.h"
#include "helper/base/message.h"
#include "helper/options/given.h"
#include "protocol/limits.h"
#include "protocol/rate.h"
#include "protocol/version.h"

namespace standby_clone {
namespace {

constexpr char kConnectionGroup[] = "Connection";
constexpr char kTargetGroup[] = "Target";
constexpr char kStandbyGroup[] = "Standby";
constexpr char kCopyGroup[] = "Copy";
constexpr char kStartGroup[] = "Start of the standby";
constexpr char kAgentGroup[] = "Agent";
constexpr char kOutputGroup[] = "Output";

struct Raw {
  std::string checkpoint = "fast", rate, compress = "auto", jobs = "auto", wal_method = "stream";
  std::string format = "plain", manifest_checksums, slot, reconnect_timeout;
  std::string receive_timeout, delta, sync_method;
  std::vector<std::string> mappings, settings;
  bool no_slot = false, no_manifest = false, no_sync = false, no_verify = false;
  bool no_check_space = false;
  bool recovery_conf = false, dry_run = false, accepted = false;
  std::string accepted_value;
};

// What pg_basebackup has and a clone has not: refused, with what to do instead.
struct Foreign {
  const char* names;
  bool has_value;
  const char* message;
  const char* hint;
};
constexpr Foreign kForeign[] = {
    {"-t,--target", true, "a clone is always written where the program runs: there is no --target",
     "Run pg_standby_clone on the standby host, or use pg_basebackup --target."},
    {"-i,--incremental", true, "a clone is always whole: there is no --incremental",
     "Use --delta to bring an older copy in --pgdata up to date."},
    {"-z,--gzip", false, "a data directory is never compressed: there is no --gzip",
     "For less on the wire there is --compress=zstd, and --compress=auto without a word."},
};

std::string default_name() {
  std::string name = host_name();
  return name.empty() ? "standby" : name.substr(0, 63);
}

std::uint16_t jobs_of(const std::string& text) {
  auto jobs = parse_jobs(text);
  if (!jobs)
    fail(Kind::kUsage, fmt::format("{} streams are not possible", text),
         fmt::format("Use --jobs=auto, or from 1 to {}.", protocol::kStreamsMax));
  return *jobs;
}

void set_delta(const std::string& text, Options& options) {
  auto way = parse_delta(text);
  if (!way)
    fail(Kind::kUsage, fmt::format("there is no way \"{}\" to bring a directory up to date", text),
         "Use --delta, or --delta=replay, --delta=changes or --delta=compare.");
  options.delta = true;
  options.way = *way;
}

ManifestChecksums manifest_checksums_of(const std::string& text) {
  constexpr std::pair<const char*, ManifestChecksums> kNames[] = {
      {"NONE", ManifestChecksums::kNone},     {"CRC32C", ManifestChecksums::kCrc32c},
      {"SHA224", ManifestChecksums::kSha224}, {"SHA256", ManifestChecksums::kSha256},
      {"SHA384", ManifestChecksums::kSha384}, {"SHA512", ManifestChecksums::kSha512}};
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
  for (auto& [name, value] : kNames)
    if (upper == name) return value;
  fail(Kind::kUsage, fmt::format("unknown manifest checksum algorithm \"{}\"", text),
       "Use NONE, CRC32C, SHA224, SHA256, SHA384 or SHA512.");
}

bool syncs_by_file(const std::string& method) {
  if (method.empty() || method == "syncfs") return false;
  if (method == "fsync") return true;
  fail(Kind::kUsage, fmt::format("unknown sync method \"{}\"", method), "Use --sync-method=fsync or --sync-method=syncfs.");
}

void refuse_what_we_do_not(const Raw& raw) {
  if (raw.format == "t" || raw.format == "tar")
    fail(Kind::kUsage, "a clone is a data directory: there is no tar format",
         "Leave --format out, or use pg_basebackup -F t for a backup.");
  if (raw.format != "p" && raw.format != "plain")
    fail(Kind::kUsage, fmt::format("unknown format \"{}\"", raw.format), "Leave --format out.");
  if (raw.wal_method == "f" || raw.wal_method == "fetch")
    fail(Kind::kUsage, "WAL is streamed while files are copied: there is no --wal-method=fetch",
         "Leave --wal-method out.");
}

void check_slot(const Raw& raw, Options& options) {
  if (raw.no_slot && !raw.slot.empty())
    fail(Kind::kUsage, "--no-slot and --slot contradict each other", "Give one of them.");
  if (options.create_slot && raw.slot.empty())
    fail(Kind::kUsage, "--create-slot needs a slot's name", "Name it with --slot; or leave both out: a clone makes its own.");
}

bool streams_wal(const std::string& method) {
  if (method == "s" || method == "stream") return true;
  if (method == "n" || method == "none") return false;
  fail(Kind::kUsage, fmt::format("unknown WAL method \"{}\"", method),
       "Use --wal-method=stream or --wal-method=none.");
}

std::string absolute(const std::string& path, const char* option) {
  if (path.empty())
    fail(Kind::kUsage, fmt::format("{} is empty", option), "Name a directory.");
  if (path.front() == '/') return path;
  char* here = getcwd(nullptr, 0);
  if (here == nullptr) fail_on_disk("find the current directory for", path, errno);
  std::string whole = std::string(here) + "/" + path;
  std::free(here);
  return whole;
}

void strip_slashes(std::string& path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
}

void check_agent(Options& options) {
  if (!options.is_named)
    fail(Kind::kUsage, "an agent needs the name its clones are requested for",
         "Name it with --name, as in request_standby_clone('NAME').");
  if (options.ask_password)
    fail(Kind::kUsage, "an agent has nobody to ask for a password",
         "Use a password file (~/.pgpass) instead of --password.");
  options.never_ask_password = true;
  if (options.manage_server && !options.allow_overwrite)
    fail(Kind::kUsage, "--manage-server needs --allow-overwrite",
         "A server is stopped only to overwrite its directory.");
}

void check_and_fill(const Raw& raw, Options& options) {
  refuse_what_we_do_not(raw);
  options.data_directory = absolute(options.data_directory, "--pgdata");
  strip_slashes(options.data_directory);
  if (!options.wal_directory.empty()) {
    strip_slashes(options.wal_directory);
    if (options.wal_directory.front() != '/')
      fail(Kind::kUsage,
           fmt::format("WAL directory \"{}\" is not an absolute path", options.wal_directory),
           "Give --waldir from the root on.");
  }
  if (!options.config_file.empty())
    options.config_file = absolute(options.config_file, "--config-file");
  if (!options.binaries.empty()) options.binaries = absolute(options.binaries, "--bindir");
  if (options.start_timeout_s < 0)
    fail(Kind::kUsage, "--timeout is negative", "Give seconds, or 0 for no limit.");
  for (const auto& text : raw.mappings) {
    auto mapping = parse_mapping(text);
    if (!mapping)
      fail(Kind::kUsage, fmt::format("\"{}\" is not a tablespace mapping", text),
           "Write --tablespace-mapping=OLDDIR=NEWDIR with two absolute paths.");
    strip_slashes(mapping->first);
    strip_slashes(mapping->second);
    options.tablespace_mapping.push_back(*mapping);
  }
  for (const auto& text : raw.settings) options.settings.push_back(parse_setting(text));
  if (raw.checkpoint != "fast" && raw.checkpoint != "spread")
    fail(Kind::kUsage, fmt::format("unknown checkpoint mode \"{}\"", raw.checkpoint),
         "Use --checkpoint=fast or --checkpoint=spread.");
  options.fast_checkpoint = raw.checkpoint == "fast";
  if (!raw.rate.empty()) {
    auto rate = parse_rate(raw.rate);
    if (!rate)
      fail(Kind::kUsage, fmt::format("\"{}\" is not a transfer rate", raw.rate),
           protocol::kRateHint);
    options.max_rate = *rate;
  }
  if (!raw.reconnect_timeout.empty()) {
    options.reconnect_timeout = parse_time(raw.reconnect_timeout);
    if (!options.reconnect_timeout)
      fail(Kind::kUsage, fmt::format("\"{}\" is not a time", raw.reconnect_timeout),
           "Give --reconnect-timeout in seconds, up to a week, or a number with suffix ms, s, min, h or d.");
  }
  if (!raw.receive_timeout.empty()) {
    auto time = parse_time(raw.receive_timeout);
    if (!time || (time->count() > 0 && time->count() < protocol::kReceiveTimeoutMinMs))
      fail(Kind::kUsage, fmt::format("\"{}\" is not a time that a connection may be silent for", raw.receive_timeout),
           "Give --receive-timeout in seconds, from 5 to a week, or a number with suffix ms, s, min, h or d; 0 for no limit.");
    options.receive_timeout = *time;
  }
  set_compression(raw.compress, options);
  options.stream_wal = streams_wal(raw.wal_method);
  options.manifest_checksums_given = !raw.manifest_checksums.empty();
  if (options.manifest_checksums_given) options.manifest_checksums = manifest_checksums_of(raw.manifest_checksums);
  options.write_manifest = !raw.no_manifest;
  options.verify_checksums = !raw.no_verify;
  options.sync = !raw.no_sync;
  options.sync_by_file = syncs_by_file(raw.sync_method);
  // A flag without a value has the value "true".
  if (!raw.delta.empty()) set_delta(raw.delta == "true" ? "auto" : raw.delta, options);
  options.check_space = !raw.no_check_space;
  options.jobs = jobs_of(raw.jobs);
  options.is_named = !options.name.empty();
  if (!options.is_named) options.name = default_name();
  if (options.name.size() > 63)
    fail(Kind::kUsage, fmt::format("the name \"{}\" is longer than 63 bytes", options.name),
         "Give a shorter --name.");
  check_slot(raw, options);
  options.slot_given = !raw.slot.empty() && !options.create_slot;
  if (!raw.no_slot) options.slot = raw.slot.empty() ? slot_name_of(options.name) : raw.slot;
  if (options.failover_slots && options.slot.empty())
    fail(Kind::kUsage, "--failover-slots and --no-slot contradict each other",
         "Slots are synchronized through the standby's own slot: leave --no-slot out.");
  if (options.label.empty()) options.label = "pg_standby_clone " + options.name;
  if (options.label.size() >= protocol::kTextMax || options.label.find('\n') != std::string::npos)
    fail(Kind::kUsage, "the label is too long or has more than one line", "Give a shorter --label.");
  if (options.command == Command::kAgent) check_agent(options);
  if (options.never_ask_password && options.ask_password)
    fail(Kind::kUsage, "--no-password and --password contradict each other", "Give one of them.");
}

// "clone" may be said or left out.
std::vector<std::string> arguments_of(int argc, const char* const* argv, Command& command) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && !arguments.front().starts_with('-')) {
    if (arguments.front() == "check") command = Command::kCheck;
    else if (arguments.front() == "agent") command = Command::kAgent;
    else if (arguments.front() == "status") command = Command::kStatus;
    else if (arguments.front() != "clone")
      fail(Kind::kUsage, fmt::format("unknown command \"{}\"", arguments.front()),
           "The commands are clone (may be left out), check, status and agent.");
    arguments.erase(arguments.begin());
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  return arguments;
}

// Single letters to insert, delete or replace to come from one word to the other.
std::size_t distance(const std::string& from, const std::string& to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t column = 0; column < row.size(); ++column) row[column] = column;
  for (std::size_t line = 1; line <= from.size(); ++line) {
    std::size_t diagonal = row[0];
    row[0] = line;
    for (std::size_t column = 1; column < row.size(); ++column) {
      std::size_t replaced = diagonal + (from[line - 1] == to[column - 1] ? 0 : 1);
      diagonal = row[column];
      row[column] = std::min({replaced, row[column] + 1, row[column - 1] + 1});
    }
  }
  return row.back();
}

// What was not understood, and the option that is most like it, if one is.
Failure unknown_option(const CLI::App& app) {
  auto left = app.remaining();
  std::string given = left.empty() ? "" : left.front();
  given = given.substr(0, given.find('='));
  std::string nearest;
  std::size_t least = given.size() / 3 + 1;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames())
      if (std::size_t steps = distance(given, "--" + name); steps < least) {
        least = steps;
        nearest = "--" + name;
      }
  const char* what = given.starts_with('-') ? "option" : "argument";
  std::string help = "Try \"pg_standby_clone --help\".";
  return {Kind::kUsage, fmt::format("unknown {} \"{}\"", what, given),
          nearest.empty() ? help : fmt::format("Did you mean {}? {}", nearest, help)};
}

void report_usage(const Failure& failure) {
  std::fprintf(stderr, "pg_standby_clone: %s%s\n", label(Label::kError).c_str(),
               failure.message.c_str());
  if (!failure.hint.empty())
    std::fprintf(stderr, "pg_standby_clone: %s%s\n", label(Label::kHint).c_str(),
                 failure.hint.c_str());
}

class Help : public CLI::Formatter {
 public:
  explicit Help(Command command) : command_(command) { column_width(34); }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  std::string make_usage(const CLI::App*, std::string) const override {
    if (command_ == Command::kAgent)
      return "\nUsage:\n"
             "  pg_standby_clone agent -D DIR --name TARGET [-d CONNINFO | -h HOST -p PORT -U USER] "
             "[OPTION]...\n";
    return "\nUsage:\n"
           "  pg_standby_clone [clone] -D DIR [-d CONNINFO | -h HOST -p PORT -U USER] [OPTION]...\n"
           "  pg_standby_clone check   -D DIR ...    tell what would stop it; touches nothing\n"
           "  pg_standby_clone status  -D DIR [--json]   tell what DIR holds, without the donor\n"
           "  pg_standby_clone agent   -D DIR --name TARGET ...   wait for "
           "request_standby_clone(TARGET);\n"
           "                                         its own options: pg_standby_clone agent --help\n";
  }

 private:
  Command command_;
};

// Those that --help shows, so that it fits a screen; --help=all shows every option.
constexpr const char* kMostUsed[] = {
    "pgdata", "delta", "tablespace-mapping", "dbname", "host", "port", "username",
    "name", "slot", "jobs", "compress", "max-rate", "start", "config-file", "start-command",
    "allow-overwrite", "manage-server", "progress", "json", "version", "help"};

void show_help(CLI::App& app, const std::string& which) {
  // A flag without a value has this one.
  bool short_one = which == "true";
  if (!short_one && which != "all")
    fail(Kind::kUsage, fmt::format("there is no help on \"{}\"", which),
         "Use --help, or --help=all for every option.");
  if (short_one)
    for (auto* option : app.get_options())
      if (std::find(std::begin(kMostUsed), std::end(kMostUsed), option->get_lnames().front()) ==
          std::end(kMostUsed))
        option->group("");
  // Releases of CLI11 differ in empty lines between groups, and in blanks at the ends of lines.
  std::string text = app.help();
  for (std::size_t at; (at = text.find(" \n")) != std::string::npos;) text.erase(at, 1);
  for (std::size_t at; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
  while (text.ends_with('\n')) text.pop_back();
  text += "\n";
  if (short_one) text += "\nEvery option: --help=all. More: man pg_standby_clone\n";
  std::fputs(text.c_str(), stdout);
}

}  // namespace

void set_compression(const std::string& text, Options& options) {
  if (text == "auto") {
    options.compression = protocol::Compression::kAuto;
    return;
  }
  if (text == "none") {
    options.compression = protocol::Compression::kNone;
    return;
  }
  auto colon = text.find(':');
  std::string method = text.substr(0, colon);
  // It is the donor that compresses, and nothing stays compressed.
  if (method != "zstd" && method != "server-zstd" && method != "client-zstd")
    fail(Kind::kUsage, fmt::format("compression \"{}\" is not possible: on the wire there is zstd alone", text),
         "Use --compress=auto, none or zstd[:LEVEL].");
  int level = 1;
  if (colon != std::string::npos) {
    std::string digits = text.substr(colon + 1);
    if (digits.starts_with("level=")) digits.erase(0, 6);
    auto result = std::from_chars(digits.data(), digits.data() + digits.size(), level);
    if (result.ec != std::errc{} || result.ptr != digits.data() + digits.size() || level < 1 ||
        level > 19)
      fail(Kind::kUsage, fmt::format("zstd has no level \"{}\"", digits),
           "Levels go from 1 to 19.");
  }
  options.compression = protocol::Compression::kZstd;
  options.compression_level = static_cast<std::int8_t>(level);
}

std::string slot_name_of(const std::string& name) {
  std::string slot = name.substr(0, 63);
  for (char& letter : slot) {
    auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    bool is_allowed = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    letter = is_allowed ? lower : '_';
  }
  return slot;
}

std::optional<Delta> parse_delta(const std::string& text) {
  if (text == "auto") return Delta::kAuto;
  if (text == "replay") return Delta::kReplay;
  if (text == "changes") return Delta::kChanges;
  if (text == "compare") return Delta::kCompare;
  return std::nullopt;
}

std::optional<std::uint16_t> parse_jobs(const std::string& text) {
  if (text == "auto") return 0;
  std::uint16_t jobs = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), jobs);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size() || jobs < 1 ||
      jobs > protocol::kStreamsMax)
    return std::nullopt;
  return jobs;
}

std::optional<std::uint64_t> parse_rate(const std::string& text) {
  return protocol::parse_rate(text);
}

std::optional<std::chrono::milliseconds> parse_time(const std::string& text) {
  constexpr std::pair<const char*, std::uint64_t> kUnits[] = {
      {"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  constexpr std::uint64_t kTimeMax = 7 * 86'400'000ull;  // a week: what the donor's setting allows
  std::uint64_t number = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc{}) return std::nullopt;
  std::string unit(result.ptr, text.data() + text.size());
  for (auto& [name, milliseconds] : kUnits)
    if (unit == name && number <= kTimeMax / milliseconds)
      return std::chrono::milliseconds(number * milliseconds);
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> settings_of(const Options& options) {
  std::vector<std::pair<std::string, std::string>> settings;
  if (options.failover_slots) settings = {{"hot_standby_feedback", "on"}, {"sync_replication_slots", "on"}};
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  return settings;
}

std::pair<std::string, std::string> parse_setting(const std::string& text) {
  auto refuse = [&](const std::string& why) {
    fail(Kind::kUsage, fmt::format("--set \"{}\": {}", text, why), "Write --set NAME=VALUE, as --set port=5433.");
  };
  auto equal = text.find('=');
  if (equal == std::string::npos) refuse("there is no value");
  std::string name = text.substr(0, equal), value = text.substr(equal + 1);
  for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  auto is_of_word = [](char letter) { return (letter >= 'a' && letter <= 'z') || letter == '_'; };
  auto is_of_name = [&](char letter) { return is_of_word(letter) || (letter >= '0' && letter <= '9') || letter == '.'; };
  bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), is_of_name) && is_of_word(name.front()) &&
                 std::count(name.begin(), name.end(), '.') <= 1 && name.back() != '.';
  if (!is_name || name == "include" || name == "include_dir" || name == "include_if_exists")
    refuse("that is not the name of a setting");
  if (value.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) refuse("the value has more than one line");
  if (name == "primary_conninfo" || name == "primary_slot_name" || name == "data_directory" || name.ends_with("_file") ||
      name.starts_with("recovery_target"))
    refuse("this setting is the clone's own, or names what lies elsewhere");
  return {name, value};
}

std::optional<std::pair<std::string, std::string>> parse_mapping(const std::string& text) {
  std::string sides[2];
  int side = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == '=')
      sides[side] += text[++at];
    else if (text[at] == '=' && side == 1)
      return std::nullopt;
    else if (text[at] == '=')
      side = 1;
    else
      sides[side] += text[at];
  }
  if (sides[0].empty() || sides[1].empty()) return std::nullopt;
  if (sides[0].front() != '/' || sides[1].front() != '/') return std::nullopt;
  return std::pair{sides[0], sides[1]};
}

Parsed parse_options(int argc, const char* const* argv) {
  Options options;
  Raw raw;
  // What is offered, and so its help, depends on it.
  bool is_agent = argc > 1 && std::strcmp(argv[1], "agent") == 0;
  CLI::App app{is_agent ? "pg_standby_clone agent waits for clones asked for on the primary with "
                          "request_standby_clone()."
                        : "pg_standby_clone makes a streaming standby of a running PostgreSQL server.",
               "pg_standby_clone"};
  app.formatter(std::make_shared<Help>(is_agent ? Command::kAgent : Command::kClone));
  app.set_help_flag();
  std::string help, options_file;
  bool version = false;

  app.add_option("-D,--pgdata", options.data_directory, "directory to make the standby in")
      ->type_name("DIR")->group(kTargetGroup);
  app.add_option("-T,--tablespace-mapping", raw.mappings,
                 "put the tablespace in OLDDIR into NEWDIR")
      ->type_name("OLDDIR=NEWDIR")->group(kTargetGroup)->allow_extra_args(false);
  app.add_option("--waldir", options.wal_directory, "directory for the WAL")
      ->type_name("DIR")->group(kTargetGroup);
  app.add_flag("--delta", raw.delta, "bring the older state of the cluster in --pgdata up to date")
      ->type_name("[=auto|replay|changes|compare]")->group(kTargetGroup);
  app.add_flag("--assume-stopped", options.assume_stopped,
               "with --delta: no server runs in --pgdata, though that cannot be seen")
      ->group(kTargetGroup);
  app.add_flag("--donor-config", options.donor_config,
               "with --delta: take the donor's configuration files, too")
      ->group(kTargetGroup);
  app.add_flag("-N,--no-sync", raw.no_sync, "do not wait until all is safely on disk")
      ->group(kTargetGroup);
  app.add_option("--sync-method", raw.sync_method, "by which files are made durable: syncfs, or fsync for each (syncfs)")
      ->type_name("METHOD")->group(kTargetGroup);
  app.add_flag("--no-check-space", raw.no_check_space,
               "begin also where there seems to be too little room")
      ->group(kTargetGroup);

  app.add_option("-d,--dbname", options.connection,
                 "connection string, or the extension's database (postgres)")
      ->type_name("CONNINFO")->group(kConnectionGroup);
  app.add_option("-h,--host", options.host, "server's host or socket directory")
      ->type_name("HOST")->group(kConnectionGroup);
  app.add_option("-p,--port", options.port, "server's port")
      ->type_name("PORT")->group(kConnectionGroup);
  app.add_option("-U,--username", options.user, "role to connect as, with REPLICATION")
      ->type_name("NAME")->group(kConnectionGroup);
  app.add_flag("-w,--no-password", options.never_ask_password, "never ask for a password")
      ->group(kConnectionGroup);
  app.add_flag("-W,--password", options.ask_password, "ask for a password first")
      ->group(kConnectionGroup);

  app.add_option("--reconnect-timeout", raw.reconnect_timeout,
                 "how long to try to reach a lost donor again (as the donor waits)")
      ->type_name("TIME")->group(kConnectionGroup);
  app.add_option("--receive-timeout", raw.receive_timeout,
                 "replace a connection that is silent for so long while others are not (60)")
      ->type_name("TIME")->group(kConnectionGroup);

  app.add_option("--name", options.name, "name of the standby, and of its slot (host's name)")
      ->type_name("NAME")->group(kStandbyGroup);
  app.add_option("-S,--slot", raw.slot, "use this existing slot; it is never dropped")
      ->type_name("NAME")->group(kStandbyGroup);
  app.add_flag("-C,--create-slot", options.create_slot, "make the slot that --slot names")->group(kStandbyGroup);
  app.add_flag("--no-slot", raw.no_slot, "make no permanent slot")->group(kStandbyGroup);
  app.add_flag("--failover-slots", options.failover_slots, "keep copies of the donor's logical slots (17 and later)")
      ->group(kStandbyGroup);
  app.add_option("--set", raw.settings, "put a setting into the standby's postgresql.auto.conf")
      ->type_name("NAME=VALUE")->group(kStandbyGroup)->allow_extra_args(false);
  app.add_flag("--write-password", options.write_password,
               "keep the password in primary_conninfo, in clear text")->group(kStandbyGroup);
  app.add_flag("-R,--write-recovery-conf", raw.recovery_conf, "accepted: this is always done")
      ->group(kStandbyGroup);

  app.add_option("-j,--jobs", raw.jobs, "parallel streams; auto: as many as help (auto)")
      ->type_name("N")->group(kCopyGroup);
  app.add_option("-Z,--compress", raw.compress, "compression on the wire: auto, none, zstd[:LEVEL] (auto)")
      ->type_name("METHOD")->group(kCopyGroup);
  app.add_option("-r,--max-rate", raw.rate, "limit of all streams together, in kB/s, or with k or M")
      ->type_name("RATE")->group(kCopyGroup);
  app.add_flag("--gentle", options.gentle,
               "slow down while other standbys or the donor suffer")
      ->group(kCopyGroup);
  app.add_option("-c,--checkpoint", raw.checkpoint, "fast or spread (fast)")
      ->type_name("MODE")->group(kCopyGroup);
  app.add_option("-l,--label", options.label, "label of the backup")
      ->type_name("LABEL")->group(kCopyGroup);
  app.add_option("-X,--wal-method", raw.wal_method, "WAL of the copy: stream or none (stream)")
      ->type_name("METHOD")->group(kCopyGroup);
  app.add_option("-F,--format", raw.format, "accepted: plain is the only one")
      ->type_name("FORMAT")->group(kCopyGroup);
  app.add_flag("--no-verify-checksums", raw.no_verify, "do not verify page checksums")
      ->group(kCopyGroup);
  app.add_flag("--no-manifest", raw.no_manifest, "write no backup_manifest")->group(kCopyGroup);
  app.add_flag("--manifest-force-encode", options.encode_manifest, "write all paths of the manifest in hexadecimal")
      ->group(kCopyGroup);
  app.add_option("--manifest-checksums", raw.manifest_checksums,
                 "NONE, CRC32C, SHA224, SHA256, SHA384, SHA512 (CRC32C)")
      ->type_name("NAME")->group(kCopyGroup);

  app.add_flag("--start", options.start, "start the server, and wait until it streams")
      ->group(kStartGroup);
  app.add_option("--timeout", options.start_timeout_s,
                 "limit of that wait in seconds, 0 for none (600)")
      ->type_name("SECONDS")->group(kStartGroup);
  app.add_option("--bindir", options.binaries, "where pg_ctl and postgres are (looked for)")
      ->type_name("DIR")->group(kStartGroup);
  app.add_option("--config-file", options.config_file,
                 "the server's postgresql.conf, outside the data directory")
      ->type_name("FILE")->group(kStartGroup);
  app.add_option("--start-command", options.start_command, "starts the server (pg_ctl)")
      ->type_name("COMMAND")->group(kStartGroup);
  app.add_option("--stop-command", options.stop_command, "stops the server (pg_ctl)")
      ->type_name("COMMAND")->group(kStartGroup);

  if (!is_agent)
    app.add_flag("--dry-run", raw.dry_run, "check only: the same as the command check")->group(kOutputGroup);
  if (is_agent) {
    app.add_flag("--allow-overwrite", options.allow_overwrite,
                 "a request may ask for delta on a used directory")
        ->group(kAgentGroup);
    app.add_flag("--manage-server", options.manage_server,
                 "and a server that runs there is stopped first")
        ->group(kAgentGroup);
  }

  app.add_flag("-P,--progress", options.progress, "show progress when not on a terminal, too")
      ->group(kOutputGroup);
  app.add_flag("-v,--verbose", options.verbose, "say more")->group(kOutputGroup);
  app.add_flag("--json", options.json, "one JSON object a line on standard output")
      ->group(kOutputGroup);
  app.add_option("--on-end", options.on_end, "run by the shell when the result is final")
      ->type_name("COMMAND")->group(kOutputGroup);
  app.add_option("--options-file", options_file, "more options, one a line: name = value")
      ->type_name("FILE")->group(kOutputGroup);
  app.add_flag("-V,--version", version, "show the version, then end")->group(kOutputGroup);
  app.add_flag("-?,--help", help, "show this help, or --help=all every option, then end")
      ->group(kOutputGroup);
  // As it is anyway.
  app.add_flag("-n,--no-clean,--no-estimate-size", raw.accepted)->group("");
  app.add_option("-s,--status-interval", raw.accepted_value)->group("");
  for (const auto& foreign : kForeign) {
    auto refuse = [&foreign] { fail(Kind::kUsage, foreign.message, foreign.hint); };
    if (foreign.has_value)
      app.add_option_function<std::string>(foreign.names, [refuse](const std::string&) { refuse(); })->group("");
    else
      app.add_flag_callback(foreign.names, refuse)->group("");
  }

  try {
    app.parse(arguments_of(argc, argv, options.command));
    if (!help.empty()) {
      show_help(app, help);
      return {std::nullopt, 0};
    }
    if (version) {
      std::printf("pg_standby_clone %s\n", protocol::kVersion);
      return {std::nullopt, 0};
    }
    take_given(app, options_of_environment(environ));
    if (!options_file.empty()) take_given(app, options_of_file(options_file));
    if (raw.dry_run) options.command = Command::kCheck;
    if (options.data_directory.empty())
      fail(Kind::kUsage, "no target directory was given", "Name it with --pgdata (-D).");
    check_and_fill(raw, options);
  } catch (const CLI::ExtrasError&) {
    report_usage(unknown_option(app));
    return {std::nullopt, exit_code(Kind::kUsage)};
  } catch (const CLI::Error& error) {
    report_usage({Kind::kUsage, error.what(), "Try \"pg_standby_clone --help\"."});
    return {std::nullopt, exit_code(Kind::kUsage)};
  } catch (const Failure& failure) {
    report_usage(failure);
    return {std::nullopt, exit_code(failure.kind)};
  }
  return {std::move(options), 0};
}

}  // namespace standby_clone
