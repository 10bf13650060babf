// files.cpp: what a clone would copy, by the very list a clone gets; and what stays behind.
#include "extension/catalogue/list.h"
#include "extension/pg/compat.h"
#include "extension/pg/text.h"
#include "extension/preflight/checks.h"

namespace preflight {
namespace {

using protocol::Entry;
using protocol::EntryKind;

// One place files go to: the data directory, or a tablespace's.
struct PlaceSize {
  char* prefix;     // "pg_tblspc/OID/"; "" for the data directory
  char* directory;  // on this server
  std::uint64_t bytes;
  std::uint64_t file_count;
};

struct Census {
  PlaceSize* places;
  int count, room;
  StringInfoData skipped;  // a path a line
  int skipped_count;
};
static_assert(std::is_trivially_destructible_v<Census>);

PlaceSize& add_place(Census& census, const char* prefix, const char* directory) {
  if (census.count == census.room) {
    census.room *= 2;
    census.places = static_cast<PlaceSize*>(
        repalloc(census.places, sizeof(PlaceSize) * static_cast<std::size_t>(census.room)));
  }
  PlaceSize& place = census.places[census.count++];
  place = {pstrdup(prefix), pstrdup(directory), 0, 0};
  return place;
}

// The entries of a tablespace come right after it, one tablespace after the other.
PlaceSize& place_of(Census& census, std::string_view path) {
  for (int index = census.count - 1; index > 0; --index)
    if (path.starts_with(view(census.places[index].prefix))) return census.places[index];
  return census.places[0];
}

void count_entry(void* context, const Entry& entry) {
  auto& census = *static_cast<Census*>(context);
  if (entry.kind == EntryKind::kTablespace) {
    char* path = pnstrdup(entry.path.data(), entry.path.size());
    char* target = pnstrdup(entry.target.data(), entry.target.size());
    add_place(census, psprintf("%s/", path), target);
  } else if (entry.kind == EntryKind::kSkipped) {
    ++census.skipped_count;
    if (census.skipped.len > 0) appendStringInfoChar(&census.skipped, '\n');
    appendBinaryStringInfo(&census.skipped, entry.path.data(), static_cast<int>(entry.path.size()));
  } else if (entry.size > 0 || entry.kind == EntryKind::kFile ||
             entry.kind == EntryKind::kRelationFile) {
    PlaceSize& place = place_of(census, entry.path);
    place.bytes += entry.size;
    ++place.file_count;
  }
}

void report_sizes(Findings& findings, const Census& census) {
  std::uint64_t bytes = 0, file_count = 0;
  for (int index = 0; index < census.count; ++index) {
    const PlaceSize& place = census.places[index];
    bytes += place.bytes;
    file_count += place.file_count;
    add(findings, index == 0 ? "place.data" : "place.tablespace", Verdict::kFact,
        psprintf(UINT64_FORMAT " %s", place.bytes, place.directory));
  }
  add(findings, "size", Verdict::kOk,
      psprintf("%s in " UINT64_FORMAT " files%s",
               human_size(static_cast<double>(bytes)), file_count,
               census.count == 1 ? ""
                                 : psprintf(", %d tablespaces outside the data directory",
                                            census.count - 1)));
}

bool is_inside_data_directory(const char* file) {
  std::size_t length = std::strlen(DataDir);
  return std::strncmp(file, DataDir, length) == 0 && file[length] == '/';
}

// Trap 32, and configuration as Debian keeps it.
void report_left_behind(Findings& findings, const Census& census) {
  StringInfoData outside;
  initStringInfo(&outside);
  for (char** place : compat::configuration_files()) {
    const char* file = *place;
    if (file == nullptr || is_inside_data_directory(file)) continue;
    appendStringInfo(&outside, "%s%s", outside.len > 0 ? "\n" : "", file);
  }
  if (outside.len > 0)
    add(findings, "configuration_files", Verdict::kWarning,
        psprintf("outside the data directory, they do not travel:\n%s", outside.data),
        "The standby needs files of its own there, as pg_createcluster makes them on Debian.");
  else
    add(findings, "configuration_files", Verdict::kOk, "in the data directory, they travel along");
  add_fact(findings, "external_files", outside.data);
  if (census.skipped_count > 0)
    add(findings, "links", Verdict::kWarning,
        psprintf("links and special files do not travel:\n%s", census.skipped.data),
        "Put what the standby needs of them there by hand.");
}

}  // namespace

void check_files(Findings& findings) {
  Census census{};
  census.room = 8;
  census.places = static_cast<PlaceSize*>(palloc(sizeof(PlaceSize) * 8));
  initStringInfo(&census.skipped);
  add_place(census, "", DataDir);
  catalogue::list_files(count_entry, &census);
  report_sizes(findings, census);
  report_left_behind(findings, census);
}

}  // namespace preflight
