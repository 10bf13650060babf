// control_file.h: the few fields of pg_control that say whether two data directories are of
// one cluster, read without the server's headers. Their places are the same in PostgreSQL 13
// to 18, but for the checksum at the end; 19 has two fields more before them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "helper/base/lsn.h"

namespace standby_clone {

// DBState, as the server numbers it.
enum class ClusterState : std::uint32_t {
  kStartingUp,
  kShutDown,
  kShutDownInRecovery,
  kShuttingDown,
  kInCrashRecovery,
  kInArchiveRecovery,
  kInProduction,
};

struct ControlFile {
  std::uint64_t system_identifier = 0;
  std::uint32_t version = 0;          // pg_control_version
  std::uint32_t catalog_version = 0;
  ClusterState state = ClusterState::kStartingUp;
  Lsn checkpoint = 0;                 // where the record of the last (restart)point begins
  Lsn redo = 0;                       // and where replay from it would begin
  Timeline timeline = 0;              // of that checkpoint
  std::uint64_t next_transaction = 0;  // with its epoch, at that checkpoint
  std::uint32_t oldest_active_transaction = 0;  // when it began; 0: none was active, it shut down
  Lsn minimum_recovery = 0;           // 0 of a primary
  Timeline minimum_recovery_timeline = 0;
  bool wal_level_is_minimal = false;
  Lsn backup_start = 0, backup_end = 0;  // of a base backup that has not reached its end
  std::uint32_t max_align = 0;
  double float_format = 0;
  std::uint32_t block_size = 0;
  std::uint32_t segment_blocks = 0;
  std::uint32_t slru_segment_pages = 32;  // PostgreSQL 19 and later; the same in all before
  std::uint32_t wal_block_size = 0;
  std::uint32_t wal_segment_size = 0;
  std::uint32_t name_size = 0;
  std::uint32_t index_keys = 0;
  std::uint32_t toast_chunk_size = 0;
  std::uint32_t large_object_size = 0;
  bool float8_by_value = false;
  std::uint32_t checksum_version = 0;
  bool char_is_signed = true;         // PostgreSQL 18 and later

  // The first transaction that may have done anything after `redo`: one that was active then is older than the next.
  std::uint64_t first_young_transaction() const;

  // None if this is not the pg_control of a supported version, or its CRC is wrong. `bytes`
  // may be longer.
  static std::optional<ControlFile> parse(std::string_view bytes);
};

// What makes the two differ in a way that no copying of pages can mend, in words ("the WAL
// segment size is 16777216 here and 1048576 on the donor"); empty if nothing does.
std::string difference_of(const ControlFile& here, const ControlFile& donor);

}  // namespace standby_clone
