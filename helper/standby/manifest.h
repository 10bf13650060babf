// manifest.h: writes backup_manifest in PostgreSQL's own format, so that the server's
// pg_verifybackup accepts it (documentation, "Backup Manifest Format").
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "helper/base/lsn.h"
#include "helper/disk/tree.h"
#include "helper/options/options.h"

namespace standby_clone {

struct WalRange {
  Timeline timeline = 0;
  Lsn start = 0, end = 0;
};

// A digest that is fed piece by piece: SHA-2 by OpenSSL.
class Sha2 {
 public:
  explicit Sha2(ManifestChecksums algorithm);  // one of the SHA ones
  ~Sha2();
  void add(std::string_view bytes);
  std::string hex();  // once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Manifest {
 public:
  using Write = std::function<void(std::string_view)>;

  // `system_identifier` goes into the format of server 17 and later. `encodes_paths`: all in hex, not only what is no
  // UTF-8.
  Manifest(Write write, ManifestChecksums algorithm, int server_version,
           std::uint64_t system_identifier, bool encodes_paths = false);

  // `checksum` is in hex, as checksum_of_crc() or Sha2::hex() give it; ignored for kNone. Empty: not known, the file
  // is listed by its size alone.
  void add_file(std::string_view path, std::uint64_t size, std::int64_t modified,
                const std::string& checksum);
  void finish(const std::vector<WalRange>& ranges);

 private:
  void put(std::string_view text);

  Write write_;
  ManifestChecksums algorithm_;
  bool encodes_paths_;
  Sha2 whole_;
  bool has_files_ = false;
};

// Of a file on disk, in hex; empty for kNone.
std::string checksum_of_file(const Tree& tree, const std::string& path,
                             ManifestChecksums algorithm);

// CRC32C as the manifest spells it: the four bytes from the lowest on.
std::string checksum_of_crc(std::uint32_t crc);

// What WAL the standby needs, on which timeline, from a timeline's history file ("" for a
// start and a stop on one timeline). Fails with kCorrupted if the history does not lead
// from start to stop.
std::vector<WalRange> wal_ranges(Timeline start_timeline, Lsn start, Timeline stop_timeline,
                                 Lsn stop, const std::string& history);

}  // namespace standby_clone
