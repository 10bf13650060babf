// configuration.h: what configuration files set, read as the server reads them: with what they include, the last
// line of a name being the one that counts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace standby_clone {

struct Setting {
  std::string name;  // in lower case
  std::string value, file;
};

struct Configuration {
  std::vector<Setting> settings;         // in the order they are read
  std::vector<std::string> files;        // absolute, with those they include
  std::vector<std::string> directories;  // of include_dir
  std::vector<std::string> unreadable;   // named, and not to be had

  // The line that counts; none: the server's default holds.
  const Setting* find(std::string_view name) const;
  // Its value, "" without one.
  std::string value_of(std::string_view name) const;
  // Adds what `file` says, and what it includes.
  void read(const std::string& file);
};

// What a line assigns; an empty name: nothing.
std::pair<std::string, std::string> assignment_in(std::string_view line);

// Those files of a data directory that are its host's own configuration: postgresql.conf and its kin, what they
// include, and what they name (TLS). Paths are relative to the data directory.
class OwnConfiguration {
 public:
  OwnConfiguration() = default;
  // `config_file`: the server's, where that is not the data directory's; else empty.
  OwnConfiguration(const std::string& data_directory, const std::string& config_file);

  bool contains(std::string_view path) const;
  const std::vector<std::string>& files() const { return files_; }

 private:
  // Who may connect, and with which certificates: pg_hba.conf and pg_ident.conf; pg_hosts.conf.
  enum class Rules { kAccess, kHosts };

  void add(const std::string& path);
  void add_access_rules(const std::string& path, Rules rules, int depth);

  std::string home_;
  std::vector<std::string> files_, directories_;
};

}  // namespace standby_clone
