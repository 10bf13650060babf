// files.cpp: what a clone would copy, by the very list a clone gets; where it lies; and what stays behind.
#include "extension/catalogue/list.h"
#include "extension/pg/text.h"
#include "extension/preflight/checks.h"

namespace preflight {
namespace {

using protocol::Entry;
using protocol::EntryKind;

struct Census {
  std::uint64_t bytes, file_count;
  int tablespace_count;
  StringInfoData skipped;  // a path a line
};
static_assert(std::is_trivially_destructible_v<Census>);

void count_entry(void* context, const Entry& entry) {
  auto& census = *static_cast<Census*>(context);
  switch (entry.kind) {
    case EntryKind::kTablespace: ++census.tablespace_count; return;
    case EntryKind::kSkipped:
      if (census.skipped.len > 0) appendStringInfoChar(&census.skipped, '\n');
      appendBinaryStringInfo(&census.skipped, entry.path.data(), static_cast<int>(entry.path.size()));
      return;
    case EntryKind::kFile:
    case EntryKind::kRelationFile:
    case EntryKind::kControlFile:
      census.bytes += entry.size;
      ++census.file_count;
      return;
    default: return;
  }
}

bool look_at_interrupts(void*) {
  CHECK_FOR_INTERRUPTS();
  return true;
}

// The links of pg_tblspc/ alone: no file is looked at.
void report_tablespaces(Findings& findings) {
  DIR* links = AllocateDir("pg_tblspc");
  while (dirent* item = ReadDir(links, "pg_tblspc")) {
    char link[MAXPGPATH], target[MAXPGPATH];
    snprintf(link, sizeof(link), "pg_tblspc/%s", item->d_name);
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    if (size < 0) continue;  // a tablespace in place, or one that is gone
    target[size] = '\0';
    add_fact(findings, "place.tablespace", target);
  }
  FreeDir(links);
}

}  // namespace

void check_places(Findings& findings) {
  add_fact(findings, "place.data", DataDir);
  report_tablespaces(findings);
}

void check_files(Findings& findings) {
  Census census{};
  initStringInfo(&census.skipped);
  catalogue::list_files(count_entry, look_at_interrupts, &census);
  add(findings, "size", Verdict::kOk,
      psprintf("%s in " UINT64_FORMAT " files%s", human_size(static_cast<double>(census.bytes)), census.file_count,
               census.tablespace_count == 0
                   ? ""
                   : psprintf(", %d tablespaces outside the data directory", census.tablespace_count)));
  if (census.skipped.len > 0)
    add(findings, "links", Verdict::kWarning,
        psprintf("links and special files do not travel:\n%s", census.skipped.data),
        "Put what the standby needs of them there by hand.");
}

}  // namespace preflight
