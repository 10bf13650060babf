// probe.cpp: looking for the helper's file under this server's paths.
#include "extension/sender/probe.h"

#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/sender/channel.h"
#include "protocol/frame.h"

namespace sender {
namespace {

bool is_hexadecimal(std::string_view text) {
  for (char letter : text)
    if (!(letter >= '0' && letter <= '9') && !(letter >= 'a' && letter <= 'f')) return false;
  return !text.empty() && text.size() < protocol::kNameMax;
}

// True if the probe is in this directory; its path is left in `path`. Through the links of
// this server, as it uses them itself.
bool is_in(const char* directory, std::string_view name, char (&path)[MAXPGPATH]) {
  snprintf(path, sizeof(path), "%s%s%s%.*s", directory, directory[0] == '\0' ? "" : "/",
           protocol::kProbePrefix, static_cast<int>(name.size()), name.data());
  struct stat status;
  if (lstat(path, &status) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not stat file \"%s\": %m", path));
  return false;
}

bool is_in_a_tablespace(std::string_view name, char (&path)[MAXPGPATH]) {
  DIR* links = AllocateDir("pg_tblspc");
  bool found = false;
  while (dirent* item = ReadDir(links, "pg_tblspc")) {
    if (item->d_name[0] == '.') continue;
    char directory[MAXPGPATH];
    snprintf(directory, sizeof(directory), "pg_tblspc/%s", item->d_name);
    if ((found = is_in(directory, name, path))) break;
  }
  FreeDir(links);
  return found;
}

}  // namespace

void answer_probe(const protocol::Probe& request) {
  if (!is_hexadecimal(request.name))
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("a clone's helper asked for a probe that is none"));
  char path[MAXPGPATH];
  bool found = is_in("", request.name, path) || is_in("pg_wal", request.name, path) ||
               is_in_a_tablespace(request.name, path);
  ControlFileData control = pg::read_control_file();
  protocol::ProbeResult result;
  result.found = found ? view(path) : std::string_view{};
  result.control_file = std::as_bytes(std::span(&control, 1));
  send_message(result);
}

}  // namespace sender
