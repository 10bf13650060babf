// donor.h: what the donor says about itself when asked before a clone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "helper/connection/connection.h"
#include "helper/options/options.h"
#include "helper/preflight/findings.h"
#include "helper/standby/configuration.h"

namespace standby_clone {

// A setting of the donor's that a standby's must not be below (trap 61).
struct HotSetting {
  std::string name;
  std::int64_t value = 0;
  std::int64_t boot = 0;  // where no file says otherwise
};

// Where files of the donor lie, and how much; 0: nobody has looked (survey.h).
struct DonorPlace {
  std::string directory;  // on the donor
  std::uint64_t bytes = 0;
};

struct DonorReport {
  int server_version = 0;  // 150018
  std::uint64_t system_identifier = 0;
  DonorPlace data;
  std::vector<DonorPlace> tablespaces;
  std::uint64_t wal_rate = 0;         // bytes a second
  std::uint64_t wal_segment_size = 0;
  std::string libc_version, icu_version;   // "2.36", "72"; empty: not known, or not used
  std::vector<std::string> libc_databases;  // whose order of texts is glibc's
  std::vector<std::string> icu_databases;
  std::vector<std::string> external_files;  // configuration that does not travel
  // What the donor's files say; paths that travel are relative. An older extension tells nothing of it.
  Configuration configuration;
  std::string data_directory, configuration_file;   // its postgresql.conf
  std::vector<std::string> configuration_errors;    // in words
  std::vector<std::string> configuration_includes;  // from the root on
  std::vector<std::string> configuration_links;     // "ssl_cert_file (server.crt)"
  std::vector<std::pair<std::string, std::string>> locales;  // database, name
  std::vector<HotSetting> settings;
  long free_connections = 0;
};

// The donor, as the command line names it.
Donor donor_of(const Options& options);

// Finds the extension: its schema, quoted. Fails with kPreflight, saying what to do. The connection, whose
// first statements these are, is free of its role's settings then.
std::string find_extension(Connection& connection);

// Asks the donor's own checks, and adds what they found. Fails if it cannot be asked.
DonorReport ask_donor(Connection& connection, const std::string& schema, Findings& findings);

}  // namespace standby_clone
