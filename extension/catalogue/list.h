// list.h: the list of what travels from this server's data directory, and the
// check of a path against the very rules that make the list. Both work on paths
// relative to the data directory, which is every backend's working directory.
#pragma once

#include "extension/pg/server.h"
#include "protocol/frame.h"

namespace catalogue {

// Called for each entry, a directory before what is in it. May ereport, may wait;
// the entry's texts live until it returns.
using Emit = void (*)(void* context, const protocol::Entry& entry);

// Called at least once for each file that is looked at: what must not wait for the end of the list is done in
// it, interrupts among it. False ends the walk.
using Turn = bool (*)(void* context);

// Walks the data directory and its tablespaces. What vanishes meanwhile is left
// out (traps 17 and 18). What is the server's own travels, through links too, or is an ERROR; what
// is not and is a link, a special file or not to be read is an entry kSkipped that says so (traps 32
// and 100). Any other failure is an ERROR. Memory stays with one
// directory's names at a time, the donor keeps no list. Call it inside a
// transaction: directories are given back by the resource owner.
void list_files(Emit emit, Turn turn, void* context);

struct Readable {
  protocol::EntryKind kind;   // kFile, kRelationFile or kControlFile
  bool has_page_checksums;    // a fork of a relation
  std::uint32_t first_block;  // number of the file's first block within its fork (trap 57)
  bool may_be_link;           // it is the server's own
  Oid database;               // of the relation; InvalidOid: shared by all, or no relation
};

// May a stream read this path? An ERROR if it could never have been on the list:
// not clean, left out by name, a directory, or through a link that the list does not follow. A file that is gone is no error here; opening it will tell.
Readable check_readable(const char* path);

}  // namespace catalogue
