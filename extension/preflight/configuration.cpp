// configuration.cpp: what this server's configuration files say now, whether the server has read it or not: a
// standby that gets them will. All of it is facts; the program on the standby's host judges them.
#include <climits>
#include <cstdio>
#include <cstdlib>

#include "extension/pg/compat.h"
#include "extension/pg/text.h"
#include "extension/preflight/checks.h"

namespace preflight {
namespace {

// The path of `file` within the data directory, however either is written; NULL if it lies elsewhere.
const char* within_data_directory(const char* file) {
  const std::size_t length = std::strlen(DataDir);
  if (std::strncmp(file, DataDir, length) == 0 && file[length] == '/') return file + length + 1;
  char parent[MAXPGPATH], found[PATH_MAX], home[PATH_MAX];
  strlcpy(parent, file, sizeof(parent));
  get_parent_directory(parent);
  if (realpath(parent, found) == nullptr || realpath(DataDir, home) == nullptr) return nullptr;
  const std::size_t home_length = std::strlen(home);
  if (std::strncmp(found, home, home_length) != 0 ||
      (found[home_length] != '\0' && found[home_length] != '/'))
    return nullptr;
  const char* inside = found[home_length] == '\0' ? "" : found + home_length + 1;
  return psprintf("%s%s%s", inside, inside[0] == '\0' ? "" : "/", last_dir_separator(file) + 1);
}

// A file that is none, or lies behind a link, stays behind.
bool is_real(const char* relative) {
  char path[MAXPGPATH];
  for (const char* end = std::strchr(relative, '/');; end = std::strchr(end + 1, '/')) {
    strlcpy(path, relative, end == nullptr ? sizeof(path) : Min(sizeof(path), static_cast<std::size_t>(end - relative) + 1));
    struct stat status;
    if (lstat(path, &status) != 0) return false;
    if (end == nullptr) return S_ISREG(status.st_mode);
    if (!S_ISDIR(status.st_mode)) return false;
  }
}

// As the standby will have it: relative to the data directory where it travels, else absolute.
const char* name_of(const char* file) {
  const char* relative = within_data_directory(file);
  return relative != nullptr && is_real(relative) ? relative : file;
}

// The path of a line that includes another file from the root on: that path must be there on the standby's host.
const char* absolute_include_in(char* line) {
  char* at = line + std::strspn(line, " \t");
  if (pg_strncasecmp(at, "include", 7) != 0) return nullptr;
  at += 7;
  if (pg_strncasecmp(at, "_if_exists", 10) == 0) return nullptr;
  if (pg_strncasecmp(at, "_dir", 4) == 0) at += 4;
  if (*at == '\0' || std::strchr(" \t='", *at) == nullptr) return nullptr;
  at += std::strspn(at, " \t=");
  bool is_quoted = *at == '\'';
  if (is_quoted) ++at;
  if (*at != '/') return nullptr;
  at[std::strcspn(at, is_quoted ? "'\n" : " \t#\n")] = '\0';
  return at;
}

void report_includes(Findings& findings, const char* file) {
  FILE* stream = AllocateFile(file, "r");
  if (stream == nullptr) return;
  char line[MAXPGPATH + 64];
  while (std::fgets(line, sizeof(line), stream) != nullptr)
    if (const char* path = absolute_include_in(line)) add_fact(findings, "configuration.include", path);
  FreeFile(stream);
}

void report_settings(Findings& findings) {
  ConfigVariable *first = nullptr, *last = nullptr;
  ParseConfigFile(ConfigFileName, true, nullptr, 0, 0, DEBUG5, &first, &last);
  ParseConfigFile(PG_AUTOCONF_FILENAME, false, nullptr, 0, 0, DEBUG5, &first, &last);
  const char* scanned = ConfigFileName;
  report_includes(findings, scanned);
  for (const ConfigVariable* variable = first; variable != nullptr; variable = variable->next) {
    const char* file = variable->filename == nullptr ? "" : variable->filename;
    if (strcmp(file, scanned) != 0 && strcmp(file, ConfigFileName) != 0) report_includes(findings, scanned = file);
    if (variable->errmsg != nullptr)
      add_fact(findings, "configuration.error",
               psprintf("%s (%s, line %d)", variable->errmsg, file, variable->sourceline));
    // A standby gets one of its own, and there may be a password in it.
    if (variable->errmsg != nullptr || variable->name == nullptr ||
        pg_strcasecmp(variable->name, "primary_conninfo") == 0)
      continue;
    if (file[0] != '/') file = psprintf("%s/%s", DataDir, file);
    add_fact(findings, "configuration.setting",
             psprintf("%s\n%s\n%s", variable->name, name_of(file), variable->value));
  }
  FreeConfigVariables(first);
}

// Files of TLS that the data directory has by a link only.
void report_links(Findings& findings) {
  const char* ssl = GetConfigOption("ssl", true, false);
  if (ssl == nullptr || strcmp(ssl, "on") != 0) return;
  for (const char* name : {"ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"}) {
    const char* file = GetConfigOption(name, true, false);
    if (file != nullptr && file[0] != '\0' && file[0] != '/' && !is_real(file))
      add_fact(findings, "configuration.link", psprintf("%s (%s)", name, file));
  }
}

// Trap 32, and configuration as Debian keeps it.
void report_left_behind(Findings& findings) {
  StringInfoData outside;
  initStringInfo(&outside);
  for (char** place : compat::configuration_files()) {
    const char* file = *place;
    if (file == nullptr || name_of(file) != file) continue;
    appendStringInfo(&outside, "%s%s", outside.len > 0 ? "\n" : "", file);
  }
  if (outside.len > 0)
    add(findings, "configuration_files", Verdict::kWarning,
        psprintf("outside the data directory, or links, they do not travel:\n%s", outside.data),
        "The standby needs files of its own there, as pg_createcluster makes them on Debian.");
  else
    add(findings, "configuration_files", Verdict::kOk, "in the data directory, they travel along");
  add_fact(findings, "external_files", outside.data);
}

}  // namespace

void check_configuration(Findings& findings) {
  report_left_behind(findings);
  add_fact(findings, "configuration.directory", DataDir);
  add_fact(findings, "configuration.file", name_of(ConfigFileName));
  report_settings(findings);
  report_links(findings);
}

}  // namespace preflight
