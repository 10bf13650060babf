// reader.cpp: from a page on this server to a frame.
#include "extension/sender/reader.h"

#include "extension/catalogue/list.h"
#include "extension/pg/compat.h"
#include "extension/pg/encryption.h"
#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/sender/gentle.h"
#include "extension/sender/page_verifier.h"
#include "extension/sender/rate.h"
#include "extension/sender/relation_map.h"
#include "protocol/crc32c.h"
#include "protocol/frame.h"
#include "protocol/hash.h"

namespace sender {
namespace {

using protocol::Coding;
using protocol::Data;
using protocol::RangeEnd;
using protocol::RangeStatus;
using session::WaitingFor;

// Plain bytes are read to a page boundary, their header goes right before them.
constexpr std::size_t kAlignment = 4096;

// kChunkSize bytes, kAlignment bytes of room before them.
char* plain_buffer() {
  static char* plain = nullptr;
  if (plain == nullptr) {
    char* raw = static_cast<char*>(
        MemoryContextAlloc(TopMemoryContext, protocol::kChunkSize + 2 * kAlignment));
    auto address = reinterpret_cast<std::uintptr_t>(raw) + kAlignment;
    plain = reinterpret_cast<char*>((address + kAlignment - 1) & ~(kAlignment - 1));
  }
  return plain;
}

void show_waiting(Reader& reader, WaitingFor waiting) {
  pg_atomic_write_u32(&reader.slot->waiting_for, static_cast<std::uint32_t>(waiting));
}

// The helper gives up a stream that owes it an answer and is silent. What fills the socket is not
// silence, and nothing is owed by a stream that waits to be asked.
void show_life(WaitingFor why) {
  if (why == WaitingFor::kHelper || pq_is_send_pending()) return;
  if (silent_ms() >= protocol::kAliveIntervalMs) send_message(protocol::Alive{});
}

void show_file(Reader& reader, const char* path) {
  std::size_t length = std::strlen(path);
  const char* end = length < sizeof(reader.slot->file)
                        ? path
                        : path + (length - sizeof(reader.slot->file) + 1);
  SpinLockAcquire(&reader.slot->file_lock);
  strlcpy(reader.slot->file, end, sizeof(reader.slot->file));
  SpinLockRelease(&reader.slot->file_lock);
}

// False when the file is gone.
bool open_file(Reader& reader, std::string_view wanted) {
  if (reader.descriptor >= 0 && wanted == view(reader.path)) return true;
  close_file(reader);
  char path[MAXPGPATH];
  if (wanted.size() >= sizeof(path))
    ereport(ERROR, errcode(ERRCODE_NAME_TOO_LONG), errmsg("a clone asked for too long a path"));
  std::memcpy(path, wanted.data(), wanted.size());
  path[wanted.size()] = '\0';
  if (wanted.find('\0') != std::string_view::npos)
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("a clone asked for a path with a zero byte"));
  catalogue::Readable readable = catalogue::check_readable(path);
  show_file(reader, path);
  // Not to hang where somebody has put a pipe; with regular files O_NONBLOCK is nothing.
  int descriptor = OpenTransientFile(
      path, O_RDONLY | PG_BINARY | O_NONBLOCK | (readable.may_be_link ? 0 : O_NOFOLLOW));
  if (descriptor < 0) {
    if (errno == ENOENT) return false;
    // ELOOP: a link, which O_NOFOLLOW does not follow. ENXIO: a socket.
    if (errno == ELOOP || errno == ENXIO)
      ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
              errmsg("a clone cannot read \"%s\": it is not a regular file", path));
    ereport(ERROR, errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path));
  }
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
            errmsg("a clone cannot read \"%s\": it is not a regular file", path));
  reader.descriptor = descriptor;
  watch_file(reader.cache, descriptor);
  strlcpy(reader.path, path, sizeof(reader.path));
  reader.has_page_checksums = readable.has_page_checksums && pg::has_plain_pages(path);
  reader.first_block = readable.first_block;
  reader.database = readable.database;
  return true;
}

// A relation map caught in the middle of its writing is read again (trap 24); one that
// stays wrong would keep every server from starting.
std::size_t read_relation_map(Reader& reader, char* to, std::size_t size) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::size_t got = read_fully(reader, to, size, 0);
    if (is_whole_relation_map(to, got)) return got;
    wait_until(reader, session::monotonic_us() + 25000);
  }
  ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
          errmsg("relation mapping file \"%s\" contains incorrect checksum", reader.path));
  pg_unreachable();
}

bool is_zero(const char* bytes, std::size_t size) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

// A live change of the rate is felt within a second: what is still waited for is then asked
// of the bucket anew.
void obey_rate(Reader& reader, std::size_t size) {
  pg_atomic_uint64* limit = &reader.session->area->max_rate;
  std::uint64_t rate = 0;
  do {
    rate = pg_atomic_read_u64(limit);
    std::uint64_t until =
        session::monotonic_us() + take_from_bucket(reader.session->area, size);
    for (std::uint64_t now = session::monotonic_us();
         now < until && rate == pg_atomic_read_u64(limit);
         now = session::monotonic_us()) {
      long rest_ms = static_cast<long>(Min((until - now) / 1000 + 1, std::uint64_t{1000}));
      wait_for(reader, WaitingFor::kRate, rest_ms);
    }
  } while (rate != pg_atomic_read_u64(limit));
}

// Between two frames. Not before pg_control, for which the helper's main thread waits.
void obey_pause(Reader& reader) {
  while (session::is_paused(*reader.session)) wait_for(reader, WaitingFor::kPause, 1000);
}

// Rests shorter than this are put together: a wait costs more than it spares.
constexpr std::uint64_t kRestMinUs = 2000;
constexpr std::uint64_t kRestMaxUs = 2000000;

void be_gentle(Reader& reader) {
  if (!reader.session->area->gentle) return;
  std::uint32_t permille = gentle_permille(reader.session->area);
  std::uint64_t now = session::monotonic_us();
  if (permille >= kFullPace) {
    reader.worked_since_us = now;
    return;
  }
  std::uint64_t rest = rest_us(permille, now - reader.worked_since_us);
  if (rest < kRestMinUs) return;
  std::uint64_t until = now + Min(rest, kRestMaxUs);
  for (; now < until; now = session::monotonic_us())
    wait_for(reader, WaitingFor::kGentle, static_cast<long>((until - now) / 1000 + 1));
  reader.worked_since_us = session::monotonic_us();
}

void send_counted(Reader& reader, const char* frame, std::size_t size, std::size_t plain) {
  obey_rate(reader, size);
  while (pq_is_send_pending()) wait_for(reader, WaitingFor::kNetwork, 1000);
  look_at_link(reader.meter);
  // Counted before the send: what has left the bucket is on its way.
  session::Record& record = *reader.session->record;
  pg_atomic_fetch_add_u64(&record.bytes_done, plain);
  pg_atomic_fetch_add_u64(&record.bytes_sent, size + 5);
  pg_atomic_write_u64(&reader.slot->bytes_done,
                      pg_atomic_read_u64(&reader.slot->bytes_done) + plain);
  pg_atomic_write_u64(&reader.slot->bytes_sent,
                      pg_atomic_read_u64(&reader.slot->bytes_sent) + size + 5);
  reader.meter.window.plain_bytes += plain;
  reader.meter.window.wire_bytes += size;
  send_frame(frame, size);
  Window window;
  if (end_window(reader.meter, *reader.slot, window))
    judge(reader.packer, *reader.session->area, *reader.slot, window);
}

// Writes the header before the payload that already stands at `payload`.
char* put_header(Data& data, char* payload) {
  char* start = payload - Data::kHeaderSize;
  data.payload = {};
  std::size_t size = protocol::encode(
      std::as_writable_bytes(std::span(start, Data::kHeaderSize)), data);
  Assert(size == Data::kHeaderSize);
  (void)size;
  return start;
}

// Sends bytes [at, at + size) of the buffer. Frame boundaries are pages', and the
// buffer is never touched again once a frame of it is queued, for queueing copies.
void send_data(Reader& reader, std::uint32_t tag, std::uint64_t offset, char* bytes,
               std::size_t size) {
  require_window(reader);  // still: what was read after End is of no backup
  Data data;
  data.tag = tag;
  data.offset = offset;
  data.plain_size = static_cast<std::uint32_t>(size);
  data.crc = protocol::crc32c(std::as_bytes(std::span(bytes, size)));
  // The header overwrites bytes of the buffer that have been sent already.
  if (is_zero(bytes, size)) {
    data.coding = Coding::kZero;
    char header[Data::kHeaderSize];
    send_counted(reader, put_header(data, header + Data::kHeaderSize), Data::kHeaderSize, size);
    return;
  }
  const session::SessionArea& area = *reader.session->area;
  if (int level = level_for_next(reader.packer, area)) {
    std::span<char> packed = pack(reader.packer, reader.meter, level, std::span(bytes, size));
    if (!packed.empty()) {
      data.coding = Coding::kZstd;
      send_counted(reader, put_header(data, packed.data()), Data::kHeaderSize + packed.size(),
                   size);
      return;
    }
  }
  data.coding = Coding::kPlain;
  send_counted(reader, put_header(data, bytes), Data::kHeaderSize + size, size);
}

// The donor's pg_control as a clone needs it: read under its lock (trap 14), the
// checkpoint made invalid, so that a start without backup_label fails (trap 11).
void send_control_file(Reader& reader, const protocol::Read& request) {
  if (request.offset != 0 || request.length < PG_CONTROL_FILE_SIZE)
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("a clone must read pg_control as a whole"));
  show_file(reader, "global/pg_control");
  ControlFileData control = pg::read_control_file();
  control.checkPoint = 0xDEAD;
  INIT_CRC32C(control.crc);
  COMP_CRC32C(control.crc, &control, offsetof(ControlFileData, crc));
  FIN_CRC32C(control.crc);
  char* plain = plain_buffer();
  std::memset(plain, 0, PG_CONTROL_FILE_SIZE);
  std::memcpy(plain, &control, sizeof(control));
  send_data(reader, request.tag, 0, plain, PG_CONTROL_FILE_SIZE);
  RangeEnd end;
  end.tag = request.tag;
  end.length = PG_CONTROL_FILE_SIZE;
  send_message(end);
}

[[noreturn]] void refuse_range() {
  ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
          errmsg("a clone asked for a range that no file can have"));
  pg_unreachable();
}

// Is the next request known, and for the same file, what it asks for starts its way from
// the disk. The request that is answered now is overwritten.
void announce_next(Reader& reader) {
  if (reader.cache.ahead.length > 0) return;
  protocol::Bytes request;
  protocol::Read next;
  if (!peek_request(*reader.channel, request) || !protocol::decode(request, next)) return;
  if (next.path == view(reader.path)) announce_range(reader.cache, next.offset, next.length);
}

// Reads the next bytes of a range that begin_range() has looked at.
std::size_t read_next(Reader& reader, char* to, std::size_t size, std::uint64_t offset) {
  if (reader.cache.now.is_all_there) return read_fully(reader, to, size, offset);
  std::uint64_t began = session::monotonic_us();
  std::size_t got = read_fully(reader, to, size, offset);
  std::uint64_t took = session::monotonic_us() - began;
  reader.meter.read_us += took;
  note_disk_read(reader.session->area, got, took);
  return got;
}

// Reads a chunk, or what there is of it, into the buffer: to look at, not to send.
std::size_t look_at_chunk(Reader& reader, std::uint64_t offset, std::size_t size) {
  obey_pause(reader);
  begin_range(reader.cache, offset, static_cast<std::uint32_t>(size));
  reader.worked_since_us = session::monotonic_us();
  std::size_t got = read_next(reader, plain_buffer(), size, offset);
  end_range(reader.cache);
  be_gentle(reader);
  return got;
}

// What no page on disk can lie beyond: WAL is flushed before the pages that it changed. A standby says it is there
// when the record is done, whose pages may have been written by then.
XLogRecPtr furthest_position() {
  return RecoveryInProgress() ? GetCurrentReplayRecPtr(nullptr) : GetFlushRecPtr(nullptr);
}

// New, left empty by an error, or written with wal_level = minimal: such a page says nothing of when.
bool is_newer(XLogRecPtr position, XLogRecPtr since) {
  return position >= since || position < FirstNormalUnloggedLSN;
}

constexpr std::uint64_t kOffsetMax = std::uint64_t{1} << 62;

}  // namespace

void open_reader(Reader& reader, Channel& channel, session::Handle& session,
                 session::StreamSlot* slot) {
  reader = {};
  reader.channel = &channel;
  reader.session = &session;
  reader.slot = slot;
  reader.verify_checksums = session.record->verify_checksums;
  reader.descriptor = -1;
  reader.cache.descriptor = -1;
  reader.worked_since_us = session::monotonic_us();
  pg_atomic_write_u32(&slot->compression_level, session.area->compression_level);
  limit_bytes_not_sent(MyProcPort->sock);
}

void wait_for(Reader& reader, WaitingFor why, long timeout_ms) {
  show_life(why);
  show_waiting(reader, why);
  std::uint64_t began = session::monotonic_us();
  wait_channel(*reader.channel, timeout_ms);
  note_wait(reader.meter, session::monotonic_us() - began);
  look_at_link(reader.meter);
  show_waiting(reader, WaitingFor::kNothing);
}

void wait_until(Reader& reader, std::uint64_t end_us) {
  for (std::uint64_t now = session::monotonic_us(); now < end_us; now = session::monotonic_us())
    wait_for(reader, WaitingFor::kDisk, static_cast<long>((end_us - now) / 1000 + 1));
}

std::size_t read_fully(Reader& reader, char* to, std::size_t size, std::uint64_t offset) {
  static const std::uint32_t event = compat::wait_event("StandbyCloneRead");
  std::size_t done = 0;
  while (done < size) {
    pgstat_report_wait_start(event);
    ssize_t got = pread(reader.descriptor, to + done, size - done,
                        static_cast<off_t>(offset + done));
    pgstat_report_wait_end();
    if (got < 0) {
      if (errno == EINTR) continue;
      ereport(ERROR, errcode_for_file_access(),
              errmsg("could not read file \"%s\": %m", reader.path));
    }
    if (got == 0) break;
    done += got;
  }
  return done;
}

void require_window(const Reader& reader) {
  session::Stage stage = session::stage_of(*reader.session);
  if (stage == session::Stage::kOver) session::refuse_ended(*reader.session);
  session::require(stage, protocol::RequestKind::kRead);
}

void close_file(Reader& reader) {
  watch_file(reader.cache, -1);
  if (reader.descriptor >= 0) CloseTransientFile(reader.descriptor);
  reader.descriptor = -1;
  reader.path[0] = '\0';
}

void answer(Reader& reader, const protocol::Read& request) {
  if (request.length > protocol::kChunkSize || request.offset > kOffsetMax) refuse_range();
  if (request.path == "global/pg_control") return send_control_file(reader, request);
  reader.meter.helper_waited = Min(request.waited, 100);
  RangeEnd end;
  end.tag = request.tag;
  if (!open_file(reader, request.path)) {
    end.status = RangeStatus::kGone;
    send_message(end);
    return;
  }
  const bool is_relation_map = request.path.ends_with("/pg_filenode.map");
  DamagedPages damaged{0, 0};
  begin_range(reader.cache, request.offset, request.length);
  reader.worked_since_us = session::monotonic_us();
  while (end.length < request.length) {
    obey_pause(reader);
    std::size_t wanted = Min(request.length - end.length, frame_size_for(reader.session->area));
    char* bytes = plain_buffer();
    if (!reader.cache.now.is_all_there) announce_next(reader);
    bool is_map = is_relation_map && request.offset + end.length == 0;
    std::size_t got = is_map ? read_relation_map(reader, bytes, wanted)
                             : read_next(reader, bytes, wanted, request.offset + end.length);
    if (got == 0) break;
    verify_pages(reader, bytes, got, request.offset + end.length, damaged);
    send_data(reader, request.tag, request.offset + end.length, bytes, got);
    end.length += got;
    be_gentle(reader);
    if (got < wanted) break;
  }
  end_range(reader.cache);
  end.checksum_failures = damaged.count;
  end.first_bad_block = damaged.first_block;
  report_damage(reader, damaged);
  send_message(end);
}

void answer(Reader& reader, const protocol::Compare& request) {
  std::size_t count = request.hashes.size() / protocol::kChunkHashSize;
  std::uint64_t chunks = (request.length + protocol::kChunkSize - 1) / protocol::kChunkSize;
  if (request.hashes.size() % protocol::kChunkHashSize != 0 || chunks != count ||
      request.offset % protocol::kChunkSize != 0 || request.offset > kOffsetMax)
    refuse_range();
  protocol::Digest digest;
  digest.tag = request.tag;
  if (!open_file(reader, request.path)) {
    digest.status = RangeStatus::kGone;
    send_message(digest);
    return;
  }
  struct stat status;
  if (fstat(reader.descriptor, &status) != 0)
    ereport(ERROR, errcode_for_file_access(), errmsg("could not stat file \"%s\": %m", reader.path));
  digest.file_size = status.st_size;
  auto* differs = static_cast<std::byte*>(palloc0((count + 7) / 8 + 1));
  std::uint64_t equal_bytes = 0;
  for (std::size_t index = 0; index < count; ++index) {
    std::uint64_t at = index * protocol::kChunkSize;
    std::size_t size = Min(request.length - at, std::uint64_t{protocol::kChunkSize});
    std::size_t got = look_at_chunk(reader, request.offset + at, size);
    auto ours = protocol::content_hash(std::as_bytes(std::span(plain_buffer(), got)), reader.session->record->hash_seed);
    const auto* theirs = request.hashes.data() + index * protocol::kChunkHashSize;
    if (got != size || std::memcmp(ours.data(), theirs, protocol::kChunkHashSize) != 0)
      differs[index / 8] |= static_cast<std::byte>(1 << (index % 8));
    else
      equal_bytes += size;
    wait_for(reader, WaitingFor::kNothing, 0);
  }
  require_window(reader);
  digest.differs = protocol::Bytes(differs, (count + 7) / 8);
  // What need not travel is done as well.
  pg_atomic_fetch_add_u64(&reader.session->record->bytes_done, equal_bytes);
  pg_atomic_fetch_add_u64(&reader.slot->bytes_done, equal_bytes);
  send_message(digest);
  pfree(differs);
}

void answer(Reader& reader, const protocol::PageHashes& request) {
  if (request.length > protocol::kChunkSize || request.offset % protocol::kHashPageSize != 0 ||
      request.offset > kOffsetMax)
    refuse_range();
  protocol::PageDigest digest;
  digest.tag = request.tag;
  std::byte hashes[protocol::kChunkSize / protocol::kHashPageSize * protocol::kPageHashSize];
  if (!open_file(reader, request.path)) {
    digest.status = RangeStatus::kGone;
  } else {
    digest.length = read_fully(reader, plain_buffer(), request.length, request.offset);
    protocol::Writer writer(hashes);
    for (std::uint32_t at = 0; at < digest.length; at += protocol::kHashPageSize)
      writer(static_cast<std::uint64_t>(XXH3_64bits_withSeed(
          plain_buffer() + at, Min(digest.length - at, protocol::kHashPageSize),
          reader.session->record->hash_seed)));
    require_window(reader);
    digest.hashes = protocol::Bytes(hashes, writer.size());
  }
  send_message(digest);
}

void answer(Reader& reader, const protocol::NewerPages& request) {
  if (request.length > protocol::kNewerPagesMax || request.offset % protocol::kChunkSize != 0 ||
      request.offset > kOffsetMax)
    refuse_range();
  protocol::NewerDigest digest;
  digest.tag = request.tag;
  std::byte newer[protocol::kNewerPagesMax / BLCKSZ / 8] = {};
  std::size_t page_count = 0;
  XLogRecPtr furthest = 0;
  if (!open_file(reader, request.path)) {
    digest.status = RangeStatus::kGone;
  } else if (!reader.has_page_checksums) {  // no relation, or encrypted
    digest.is_unreliable = true;
  } else {
    while (digest.length < request.length) {
      std::size_t size = Min(request.length - digest.length, protocol::kChunkSize);
      std::size_t got = look_at_chunk(reader, request.offset + digest.length, size);
      for (std::size_t at = 0; at < got; at += BLCKSZ, ++page_count) {
        XLogRecPtr position = at + BLCKSZ <= got ? PageGetLSN(plain_buffer() + at) : 0;
        if (is_newer(position, request.since)) newer[page_count / 8] |= std::byte{1} << page_count % 8;
        furthest = Max(furthest, position);
      }
      digest.length += got;
      wait_for(reader, WaitingFor::kNothing, 0);
      if (got < size) break;
    }
    require_window(reader);
    digest.is_unreliable = furthest > furthest_position();
    digest.newer = protocol::Bytes(newer, (page_count + 7) / 8);
  }
  send_message(digest);
}

}  // namespace sender
