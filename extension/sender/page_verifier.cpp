// page_verifier.cpp: the rule by which a page is damaged or only being written (traps 55 to 59).
//
// A page read while the server writes it is part old, part new, and its checksum wrong. Replay
// repairs it: whatever changes a page after the backup's start logs an image of it first, and gives
// it the LSN of that record. So a page is damaged unless
//
//   - it is right when it is read again; or
//   - its LSN lies inside the backup: after its start, and not beyond what the server has written by
//     now, or has replayed, as garbage may be.
//
// Whether the bytes have changed meanwhile says nothing: damaged pages are written too. Free space and
// visibility maps may be written without a new LSN; for these, and for storage that shows the end of
// a write before its beginning, the rereads go on for a second.
#include "extension/sender/page_verifier.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "extension/pg/compat.h"
#include "extension/pg/text.h"
#include "extension/sender/page_checksum.h"

namespace sender {
namespace {

constexpr std::uint64_t kPatienceMs = 1000;
constexpr std::uint64_t kFirstRestMs = 25;

// So many damaged pages are no writes that were met half way. Of a file that has them the others are
// read again at once; with more of them in the whole clone, which has failed by then, all files get
// this patience only, and with many more, as many small files of garbage have, none.
constexpr std::uint32_t kHopelessFile = 16;
constexpr std::uint64_t kHopelessClone = 64;
constexpr std::uint64_t kGarbage = 1024;
constexpr std::uint64_t kLittlePatienceMs = 5;

constexpr std::uint32_t kLogLinesMax = 5;  // of one file

// Pages of the frame in hand, by index.
struct Suspects {
  std::uint16_t pages[protocol::kFramePlainMax / BLCKSZ];
  std::size_t count;
};

// The damaged pages that all streams have found in the reader's file, `more` of them by this one just
// now. The files met last are known.
std::uint32_t damage_of_file(const Reader& reader, std::uint32_t more) {
  session::SessionArea& area = *reader.session->area;
  std::uint64_t path_hash = XXH3_64bits(reader.path, std::strlen(reader.path));
  SpinLockAcquire(&area.damage_lock);
  session::DamagedFile* file = nullptr;
  for (session::DamagedFile& known : area.damaged_files)
    if (known.page_count > 0 && known.path_hash == path_hash) file = &known;
  if (file == nullptr && more > 0) {
    file = &area.damaged_files[area.damaged_next++ % std::size(area.damaged_files)];
    *file = {path_hash, 0};
  }
  std::uint32_t count = file == nullptr ? 0 : file->page_count += more;
  SpinLockRelease(&area.damage_lock);
  return count;
}

std::uint64_t patience_ms(const Reader& reader) {
  if (damage_of_file(reader, 0) >= kHopelessFile) return 0;
  std::uint64_t all = pg_atomic_read_u64(&reader.session->record->checksum_failures);
  if (all >= kGarbage) return 0;
  return all >= kHopelessClone ? kLittlePatienceMs : kPatienceMs;
}

bool will_be_replayed(const Reader& reader, const char* page) {
  XLogRecPtr lsn = PageGetLSN(reinterpret_cast<Page>(const_cast<char*>(page)));
  // A record that is replayed now may be on its pages before it counts as replayed.
  XLogRecPtr end = RecoveryInProgress() ? GetCurrentReplayRecPtr(nullptr) : GetXLogInsertRecPtr();
  return lsn > reader.session->record->start_lsn && lsn <= end;
}

// Reads the suspects again; those that are cleared of it, or that the file has lost, are dropped.
void read_again(Reader& reader, Suspects& suspects, char* bytes, std::uint64_t offset,
                std::uint32_t first_block) {
  std::size_t left = 0;
  for (std::size_t index = 0; index < suspects.count; ++index) {
    std::uint16_t at = suspects.pages[index];
    char* page = bytes + std::size_t{at} * BLCKSZ;
    alignas(8) char again[BLCKSZ];
    if (read_fully(reader, again, BLCKSZ, offset + std::uint64_t{at} * BLCKSZ) < BLCKSZ) continue;
    std::memcpy(page, again, BLCKSZ);
    if (find_bad_page(page, 0, 1, first_block + at) == 1 || will_be_replayed(reader, page)) continue;
    suspects.pages[left++] = at;
  }
  suspects.count = left;
}

void log_damage(const Reader& reader, std::uint32_t block, std::uint32_t number) {
  if (number > kLogLinesMax) return;
  ereport(LOG_SERVER_ONLY, errcode(ERRCODE_DATA_CORRUPTED),
          errmsg("pg_standby_clone: checksum verification failed in file \"%s\", block %u%s",
                 reader.path, block,
                 number < kLogLinesMax ? "" : "; further ones of this file are not logged"));
}

}  // namespace

void verify_pages(Reader& reader, char* bytes, std::size_t size, std::uint64_t offset,
                  DamagedPages& damaged) {
  if (!reader.verify_checksums || !reader.has_page_checksums || offset % BLCKSZ != 0) return;
  if (!session::have_page_checksums(reader.session->area)) return;
  std::size_t pages = size / BLCKSZ;
  std::uint32_t first_block = reader.first_block + static_cast<std::uint32_t>(offset / BLCKSZ);
  Suspects suspects;
  suspects.count = 0;
  for (std::size_t index = find_bad_page(bytes, 0, pages, first_block); index < pages;
       index = find_bad_page(bytes, index + 1, pages, first_block))
    suspects.pages[suspects.count++] = static_cast<std::uint16_t>(index);
  if (suspects.count == 0) return;

  std::uint64_t now = session::monotonic_us();
  std::uint64_t deadline = now + patience_ms(reader) * 1000;
  std::uint64_t rest = kFirstRestMs * 1000;
  do {
    wait_until(reader, Min(now + rest, deadline));
    read_again(reader, suspects, bytes, offset, first_block);
    now = session::monotonic_us();
    rest *= 2;
  } while (suspects.count > 0 && now < deadline);
  if (suspects.count == 0 || !session::have_page_checksums(reader.session->area)) return;

  auto count = static_cast<std::uint32_t>(suspects.count);
  if (damaged.count == 0) damaged.first_block = first_block + suspects.pages[0];
  damaged.count += count;
  std::uint32_t number = damage_of_file(reader, count) - count;
  for (std::size_t index = 0; index < count; ++index)
    log_damage(reader, first_block + suspects.pages[index], ++number);
}

void report_damage(Reader& reader, const DamagedPages& damaged) {
  if (damaged.count == 0) return;
  pg_atomic_fetch_add_u64(&reader.session->record->checksum_failures, damaged.count);
  compat::report_checksum_failures(reader.database, static_cast<int>(damaged.count));
}

}  // namespace sender
