// host.cpp: this host's user, programs and libraries.
#include "helper/preflight/host.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gnu/libc-version.h>
#include <optional>
#include <string_view>
#include <unistd.h>

#include "helper/preflight/configuration.h"
#include "helper/server/server.h"

namespace standby_clone {
namespace {

namespace fs = std::filesystem;

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

// Major version of the ICU library a program is linked with; empty: none.
std::string icu_version_of(const std::string& program) {
  constexpr std::string_view kLibrary = "libicui18n.so.";
  std::ifstream file(program, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  std::size_t at = content.find(kLibrary);
  if (at == std::string::npos) return "";
  std::size_t end = at += kLibrary.size();
  while (end < content.size() && std::isdigit(static_cast<unsigned char>(content[end]))) ++end;
  return content.substr(at, end - at);
}

void check_user(const Options& options, Findings& findings) {
  if (geteuid() != 0) return;
  if (options.start && options.start_command.empty())
    findings.fail("user", Kind::kPreflight, "the superuser \"root\" cannot start a PostgreSQL server",
                  "Run the clone as the user the standby will run as, or leave --start out.");
  else
    findings.warn("user", "this runs as root, as which PostgreSQL does not start",
                  "Run it as the user the server will run as.");
}

void check_libc(const DonorReport& donor, Findings& findings) {
  const std::string here = gnu_get_libc_version();
  if (donor.libc_version.empty()) return;
  if (here == donor.libc_version || donor.libc_databases.empty()) {
    findings.ok("glibc", here == donor.libc_version
                             ? fmt::format("{} on both hosts", here)
                             : fmt::format("{} here, {} on the donor; no database sorts by it", here,
                                           donor.libc_version));
    return;
  }
  findings.warn("glibc",
                fmt::format("{} here, {} on the donor: databases whose texts it sorts: {}", here,
                            donor.libc_version, list_of(donor.libc_databases)),
                "Indexes over texts may be wrong on the standby: use the same release of the "
                "operating system, or rebuild them after a promotion (REINDEX).");
}

void check_icu(const DonorReport& donor, const std::string& binaries, Findings& findings) {
  if (donor.icu_databases.empty() || donor.icu_version.empty()) return;
  std::string here = icu_version_of(binaries + "/postgres");
  if (here == donor.icu_version)
    findings.ok("icu", fmt::format("{} on both hosts", here));
  else
    findings.warn("icu",
                  fmt::format("{} here, {} on the donor: databases whose texts it sorts: {}",
                              here.empty() ? "none" : here, donor.icu_version,
                              list_of(donor.icu_databases)),
                  "Indexes over texts may be wrong on the standby: use the same release of ICU, or "
                  "rebuild them after a promotion (REINDEX).");
}

// Where PostgreSQL's programs are on this host; a clone does without, a standby does not.
std::optional<std::string> find_programs(const Options& options, const DonorReport& donor,
                                         const StopSource& stop, Findings& findings) {
  int major = donor.server_version / 10000;
  try {
    std::string binaries = find_binaries(options.binaries, major, stop);
    findings.ok("server_programs", fmt::format("those of PostgreSQL {} are in \"{}\"", major, binaries));
    return binaries;
  } catch (const Failure& failure) {
    if (failure.kind == Kind::kCancelled) throw;
    // An administrator's own command needs none of ours.
    if (options.start && options.start_command.empty())
      findings.fail("server_programs", failure.kind, failure.message, failure.hint);
    else
      findings.warn("server_programs", failure.message,
                  failure.hint + " The files of the standby are for PostgreSQL " +
                      std::to_string(major) + " alone.");
    return std::nullopt;
  }
}

}  // namespace

void check_host(const Options& options, const DonorReport& donor, const StopSource& stop,
                Findings& findings) {
  check_user(options, findings);
  check_libc(donor, findings);
  auto binaries = find_programs(options, donor, stop, findings);
  if (binaries) check_icu(donor, *binaries, findings);
  check_configuration(options, donor, binaries.value_or(""), stop, findings);
  int streams = std::max<int>(options.jobs, 1);  // --jobs=auto does with one
  long needed = streams + 1;
  if (donor.free_connections < needed)
    findings.fail("streams", Kind::kPreflight,
                  fmt::format("a clone with {} streams takes {} connections, the donor has {} free "
                              "(max_connections)",
                              streams, needed, donor.free_connections),
                  "Use fewer --jobs, or raise max_connections (a restart).");
}

}  // namespace standby_clone
