// configuration.cpp: the donor's files as it reports them, or this host's own as they lie here; the server's own
// program has the last word on them where it is installed.
#include "helper/preflight/configuration.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <locale.h>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

#include "helper/base/unique_fd.h"
#include "helper/disk/directory.h"
#include "helper/disk/journal.h"
#include "helper/server/process.h"
#include "helper/standby/settings_file.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

constexpr int kAskLimitMs = 30000;

bool is_there(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Elements of a list, as shared_preload_libraries and unix_socket_directories are.
std::vector<std::string> elements_of(const std::string& list) {
  std::vector<std::string> elements;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    std::erase_if(part, [](char letter) { return letter == '"' || letter == ' '; });
    if (!part.empty()) elements.push_back(part);
  }
  return elements;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

bool is_on(const std::string& value) {
  return value == "on" || value == "true" || value == "yes" || value == "1";
}

// What the server complains of first; it ends with a line that says less.
std::string complaint_in(const std::string& output) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("skipping missing configuration file") != std::string::npos) continue;  // "/" has none
    for (std::string_view level : {"LOG:  ", "FATAL:  "})
      if (auto at = line.find(level); at != std::string::npos) return line.substr(at + level.size());
  }
  return output.substr(0, output.find('\n'));
}

// Where the server's own modules are; each installation has this one.
std::string module_directory_of(const std::string& binaries, const StopSource& stop) {
  std::vector<std::string> places{binaries + "/../lib", binaries + "/../lib/postgresql", binaries + "/../lib64/pgsql"};
  if (access((binaries + "/pg_config").c_str(), X_OK) == 0) {
    std::string said = run_program({binaries + "/pg_config", "--pkglibdir"}, kAskLimitMs, stop).output;
    places.push_back(said.substr(0, said.find('\n')));
  }
  for (const auto& place : places)
    if (is_there(place + "/libpqwalreceiver.so")) return place;
  return "";
}

// As the server looks for it, with and without its suffix.
bool is_library_there(const std::string& name, const std::string& path, const std::string& modules) {
  std::vector<std::string> candidates;
  auto expand = [&](std::string text) {
    constexpr std::string_view kModules = "$libdir";
    if (text.starts_with(kModules)) text.replace(0, kModules.size(), modules);
    return text;
  };
  if (name.find('/') != std::string::npos) {
    candidates.push_back(expand(name));
  } else {
    std::istringstream places(path.empty() ? "$libdir" : path);
    for (std::string place; std::getline(places, place, ':');) candidates.push_back(expand(place) + "/" + name);
  }
  return std::any_of(candidates.begin(), candidates.end(),
                     [](const std::string& file) { return is_there(file) || is_there(file + ".so"); });
}

bool is_locale_here(const std::string& name) {
  locale_t locale = newlocale(LC_ALL_MASK, name.c_str(), nullptr);
  if (locale == nullptr) return false;
  freelocale(locale);
  return true;
}

// What data_directory leads to; nothing is the server's own -D.
bool is_of(const Configuration& configuration, const std::string& directory) {
  const Setting* setting = configuration.find("data_directory");
  std::error_code error;
  return setting == nullptr || setting->value.empty() || setting->value == directory ||
         fs::equivalent(setting->value, directory, error);
}

// The checks of one configuration. What keeps a server from starting is an error where this run is to start it with
// just that; else somebody may put it right before.
class Check {
 public:
  Check(const Options& options, const DonorReport& donor, const std::string& binaries, const StopSource& stop,
        Findings& findings)
      : options_(options),
        donor_(donor),
        binaries_(binaries),
        stop_(stop),
        findings_(findings),
        keeps_own_(keeps_own_configuration(options)),
        file_(external_config_file(options, donor.external_files, donor.data_directory)),
        starts_it_(options.start && (options.start_command.empty() || !options.config_file.empty())) {}

  void run() {
    const std::string own = options_.data_directory + "/postgresql.conf";
    if (file_.empty() && keeps_own_ && is_there(own)) file_ = own;
    check_given();
    if (!read()) return;
    for (const auto& [name, value] : settings_of(options_)) configuration_.settings.push_back({name, value, kGiven});
    check_data_directory();
    check_overrides();
    check_hot_settings();
    check_files();
    ask_server();
    check_libraries();
    check_tls();
    check_sockets();
  }

 private:
  bool is_hosts() const { return !file_.empty(); }
  std::string named() const {
    return is_hosts() ? fmt::format("configuration file \"{}\"", file_) : "the donor's configuration";
  }
  void complain(const char* check, const std::string& detail, const std::string& hint) {
    if (starts_it_)
      findings_.fail(check, Kind::kPreflight, detail, hint);
    else
      findings_.warn(check, detail, hint);
  }

  // False where nothing is known of what the server will read.
  bool read() {
    bool does_travel = donor_.configuration_file.starts_with("postgresql.conf");
    if (is_hosts() && access(file_.c_str(), R_OK) != 0) {
      complain("settings", fmt::format("configuration file \"{}\" cannot be read", file_), "Correct --config-file.");
      return false;
    }
    if (!is_hosts() && !donor_.external_files.empty() && starts_it_)
      findings_.fail("configuration", Kind::kPreflight,
                     "the donor's configuration lies outside its data directory and does not travel: the standby "
                     "cannot be started without its own",
                     "Make one on this host and name it with --config-file, or say with --start-command how to "
                     "start the server (as with Debian's pg_ctlcluster). These do not travel:\n" + external_files());
    if (!is_hosts() && !does_travel) return false;
    auto take_donors = [this](bool auto_conf) {
      for (const auto& setting : donor_.configuration.settings)
        if ((setting.file == kAutoConf) == auto_conf && !setting.file.ends_with(std::string("/") + kAutoConf))
          configuration_.settings.push_back(setting);
    };
    const std::string auto_conf = options_.data_directory + "/" + kAutoConf;
    if (is_hosts()) configuration_.read(file_);
    else take_donors(false);
    if (keeps_own_ && is_there(auto_conf)) configuration_.read(auto_conf);
    else take_donors(true);
    return true;
  }

  // No file but postgresql.conf itself decides on it, and nothing overrules it.
  void check_data_directory() {
    if (is_of(configuration_, options_.data_directory)) return;
    const Setting* setting = configuration_.find("data_directory");
    findings_.fail("data_directory", Kind::kPreflight,
                   is_hosts() ? fmt::format("configuration file \"{}\" is of a server in \"{}\", not in \"{}\"", file_,
                                            setting->value, options_.data_directory)
                              : fmt::format("the donor's {} sets data_directory = \"{}\": with that file a server "
                                            "started in \"{}\" is one of another directory",
                                            setting->file, setting->value, options_.data_directory),
                   is_hosts() ? "Correct data_directory in it, or name another with --config-file."
                              : "Take the line out there (a server's -D says the same), or name a configuration of "
                                "this host's own with --config-file.");
  }

  void check_overrides() {
    Moved moved{is_hosts() ? "" : donor_.data_directory, options_.data_directory};
    auto overrides = overrides_for(configuration_, moved, !options_.slot.empty());
    if (!overrides.empty())
      findings_.ok("standby_settings", fmt::format("would keep the copy from being a standby, and are overruled in "
                                                   "postgresql.auto.conf: {}",
                                                   names_of(overrides)));
  }

  void check_hot_settings() {
    auto low = settings_too_low(donor_.settings, configuration_);
    if (low.empty())
      return findings_.ok("settings", fmt::format("{} asks for no less than the donor has", named()));
    complain("settings", "a standby does not start with settings lower than its donor's: " + joined(low),
             is_hosts() ? fmt::format("Raise them in \"{}\".", file_)
                        : "The donor got them otherwise, by its command line for one: write them into its "
                          "postgresql.conf, or give the standby a configuration with --config-file.");
  }

  // Of a host's own configuration the server tells itself.
  void check_files() {
    if (is_hosts()) return;
    for (const auto& error : donor_.configuration_errors)
      complain("configuration", "the donor's configuration has an error: " + error,
               "Correct it there: no server starts with it, the donor neither.");
    for (const auto& file : absent_includes())
      complain("configuration",
               fmt::format("the donor's configuration includes \"{}\", which does not travel and is not here", file),
               "Make it on this host, or give the standby a configuration with --config-file.");
    for (const auto& link : donor_.configuration_links)
      complain("tls", fmt::format("the donor's {} is a link, which does not travel", link),
               "Put the file itself there, or give the standby a configuration with --config-file.");
  }

  // A path of the donor's data directory, which will be in this one.
  bool moves_along(const std::string& path) const {
    return !is_hosts() && is_inside(path, donor_.data_directory);
  }

  std::string external_files() const {
    std::string files;
    for (const auto& file : donor_.external_files) files += (files.empty() ? "" : "\n") + file;
    return files;
  }

  // Those named from the root on, and those that the donor's data directory has by a link.
  std::vector<std::string> absent_includes() const {
    std::vector<std::string> absent;
    auto look_for = [&](const std::string& file) {
      bool is_here = is_inside(file, donor_.data_directory) ? donor_.data_directory == options_.data_directory
                                                            : is_there(file);
      if (!is_here && std::find(absent.begin(), absent.end(), file) == absent.end()) absent.push_back(file);
    };
    for (const auto& file : donor_.configuration_includes) look_for(file);
    for (const auto& setting : configuration_.settings)
      if (setting.file.starts_with('/')) look_for(setting.file);
    return absent;
  }

  // Each by itself, so that the one that is wrong is named.
  void check_given() {
    if (binaries_.empty()) return;
    UniqueFd nothing(memfd_create("postgresql.conf", 0));  // inherited
    for (const auto& [name, value] : options_.settings) {
      Ended answer = run_program({binaries_ + "/postgres", "-C", "port", "-D", "/", "-c",
                                  fmt::format("config_file=/proc/self/fd/{}", nothing.get()), "-c", name + "=" + value},
                                 kAskLimitMs, stop_);
      if (answer.code != 0)
        findings_.fail("settings", Kind::kPreflight,
                       fmt::format("a server does not start with --set {}={}: {}", name, value, complaint_in(answer.output)),
                       "Correct it; the names and values are those of postgresql.conf.");
    }
  }

  // All that the server checks when it reads its configuration. It wants some data directory that is there, and
  // looks into none for a setting like this.
  void ask_server() {
    if (binaries_.empty()) return;
    UniqueFd memory;
    std::string file = file_;
    if (!is_hosts()) {
      memory.reset(memfd_create("postgresql.conf", 0));  // inherited
      if (!memory) return;
      std::string text;
      for (const auto& setting : configuration_.settings)
        if (setting.name != "data_directory" && &setting == configuration_.find(setting.name))
          text += setting.name + " = " + quote_setting(setting.value) + "\n";
      if (::write(memory.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
      file = fmt::format("/proc/self/fd/{}", memory.get());
    }
    Ended answer = run_program({binaries_ + "/postgres", "-C", "port", "-D", "/", "-c", "config_file=" + file},
                               kAskLimitMs, stop_);
    if (answer.code == 0) return;
    while (!answer.output.empty() && answer.output.back() == '\n') answer.output.pop_back();
    complain("configuration",
             is_hosts() ? fmt::format("the server cannot read {}: {}", named(), complaint_in(answer.output))
                        : fmt::format("a server does not start on this host with the donor's configuration: {}",
                                      complaint_in(answer.output)),
             (is_hosts() ? "Correct it, or name another with --config-file."
                         : "Correct it on the donor, install what is missing here, or give the standby a configuration "
                           "with --config-file.") +
                 std::string(" The server says:\n") + answer.output);
  }

  void check_libraries() {
    if (binaries_.empty()) return;
    std::string modules = module_directory_of(binaries_, stop_);
    if (modules.empty()) return;
    std::vector<std::string> missing;
    for (const char* name : {"shared_preload_libraries", "session_preload_libraries"})
      for (const auto& library : elements_of(configuration_.value_of(name)))
        if (!is_library_there(library, configuration_.value_of("dynamic_library_path"), modules))
          missing.push_back(fmt::format("{} ({})", library, name));
    if (!missing.empty())
      complain("libraries", fmt::format("libraries that {} loads are not on this host: {}", named(), joined(missing)),
               fmt::format("Install them in \"{}\", or give the standby a configuration without them "
                           "(--config-file).", fs::path(modules).lexically_normal().string()));
  }

  void check_tls() {
    if (!is_on(configuration_.value_of("ssl"))) return;
    for (const char* name : {"ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"}) {
      std::string file = configuration_.value_of(name);
      if (!file.starts_with('/') || moves_along(file) || access(file.c_str(), R_OK) == 0) continue;
      complain("tls", fmt::format("{} \"{}\" of {} cannot be read on this host", name, file, named()),
               "Put it there, or give the standby a configuration of its own with --config-file.");
    }
  }

  void check_sockets() {
    for (const auto& directory : elements_of(configuration_.value_of("unix_socket_directories")))
      if (directory.starts_with('/') && !moves_along(directory) &&
          access(directory.c_str(), W_OK | X_OK) != 0)
        complain("sockets",
                 fmt::format("socket directory \"{}\" of {} cannot be written to on this host", directory, named()),
                 "Make it, or give the standby another in unix_socket_directories (--config-file).");
  }

  const Options& options_;
  const DonorReport& donor_;
  const std::string& binaries_;
  const StopSource& stop_;
  Findings& findings_;
  const bool keeps_own_;
  std::string file_;  // of this host; empty: the donor's
  const bool starts_it_;
  Configuration configuration_;
};

void check_locales(const DonorReport& donor, Findings& findings) {
  std::vector<std::string> missing;
  for (const auto& [database, locale] : donor.locales)
    if (!is_locale_here(locale)) missing.push_back(fmt::format("{} ({})", locale, database));
  if (!missing.empty())
    findings.warn("locales", "locales of databases are not on this host: " + joined(missing),
                  "Nobody can connect to these databases of the standby until they are installed.");
}

}  // namespace

bool keeps_own_configuration(const Options& options) {
  if (options.donor_config) return false;
  const std::string journal = options.data_directory + "/" + kJournalName;
  if (!is_there(journal)) return options.delta && is_there(options.data_directory + "/PG_VERSION");
  auto directories = Journal::read(journal, Journal::Parts::kAllButFiles).directories;
  return !directories.empty() && directories.front().origin == Origin::kFound;
}

std::string external_config_file(const Options& options, const std::vector<std::string>& donors_external_files,
                                 const std::string& donor_directory) {
  if (!options.config_file.empty()) return options.config_file;
  // pg_ctl would not know it.
  if (options.start && options.start_command.empty()) return "";
  for (const auto& file : donors_external_files) {
    if (!file.ends_with("/postgresql.conf") || is_inside(file, donor_directory) || !is_there(file)) continue;
    // Of another server here, the donor itself for one.
    Configuration found;
    found.read(file);
    if (is_of(found, options.data_directory)) return file;
  }
  return "";
}

std::vector<std::string> settings_too_low(const std::vector<HotSetting>& donors, const Configuration& standbys) {
  std::vector<std::string> low;
  for (const auto& donor : donors) {
    const Setting* setting = standbys.find(donor.name);
    double ours = setting == nullptr ? static_cast<double>(donor.boot) : std::strtod(setting->value.c_str(), nullptr);
    if (ours < static_cast<double>(donor.value))
      low.push_back(fmt::format("{} = {:.0f} (the donor has {})", donor.name, ours, donor.value));
  }
  return low;
}

void check_configuration(const Options& options, const DonorReport& donor, const std::string& binaries,
                         const StopSource& stop, Findings& findings) {
  check_locales(donor, findings);
  Check(options, donor, binaries, stop, findings).run();
}

}  // namespace standby_clone
