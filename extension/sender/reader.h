// reader.h: reading files of the data directory for one stream and sending what
// was read.
#pragma once

#include "extension/sender/channel.h"
#include "extension/sender/meter.h"
#include "extension/sender/packer.h"
#include "extension/sender/page_cache.h"
#include "extension/session/shared.h"
#include "protocol/request.h"

namespace sender {

// Reads and sends; one a stream backend. All files stay inside the transaction of
// the stream procedure, which gives them back.
struct Reader {
  Channel* channel;
  session::Handle* session;
  session::StreamSlot* slot;
  bool verify_checksums;
  // The file opened last: chunks of one file come one after the other.
  int descriptor;  // -1: none
  char path[MAXPGPATH];
  bool has_page_checksums;
  std::uint32_t first_block;
  Oid database;  // whose relation it is, InvalidOid: one that all databases share
  PageCache cache;
  Meter meter;
  Packer packer;
  std::uint64_t worked_since_us;  // for the rests of a gentle clone
};

void open_reader(Reader& reader, Channel& channel, session::Handle& session,
                 session::StreamSlot* slot);
void close_file(Reader& reader);

// An ERROR unless files may be read now: while the backup runs, and the helper has not said End.
void require_window(const Reader& reader);

// Waits as wait_channel() does, seen in the views and counted by the meter.
void wait_for(Reader& reader, session::WaitingFor why, long timeout_ms);

// Until then the disk is given time; what else is to be heard is.
void wait_until(Reader& reader, std::uint64_t end_us);

// Reads from the file opened last. Bytes read; fewer than asked for only at the end of the file.
std::size_t read_fully(Reader& reader, char* to, std::size_t size, std::uint64_t offset);

// Answers one request each.
void answer(Reader& reader, const protocol::Read& request);
void answer(Reader& reader, const protocol::Compare& request);
void answer(Reader& reader, const protocol::PageHashes& request);
void answer(Reader& reader, const protocol::NewerPages& request);

}  // namespace sender
