// standby.h: the last files of a clone, up to the point where it may start.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "helper/disk/target.h"
#include "helper/options/options.h"
#include "helper/plan/file_list.h"
#include "helper/plan/leftovers.h"
#include "helper/standby/manifest.h"
#include "helper/standby/settings_file.h"

namespace standby_clone {

struct StandbyFiles {
  std::string backup_label;   // byte for byte as the donor gave it (trap 10); empty: recovery needs none
  std::string control_file;   // content of pg_control
  std::string conninfo;       // primary_conninfo
  std::string slot_name;      // primary_slot_name; empty: none
  std::string config_file;    // that the server will read; empty: the one in the data directory
  std::string donor_directory;       // whose paths the configuration may have; empty: none
  bool keeps_own_settings = false;  // postgresql.auto.conf is this host's own
  int server_version = 0;
  std::uint64_t system_identifier = 0;
  bool write_manifest = true;
  bool encode_manifest = false;
  std::string origin;  // text of its file (origin.h); empty: none
  std::vector<std::pair<std::string, std::string>> settings;  // --set
  ManifestChecksums manifest_checksums = ManifestChecksums::kCrc32c;
  bool reads_for_checksums = false;  // files whose content was not looked at
  std::vector<WalRange> wal;
  std::vector<KeptFile> kept;  // files of others that stay in the directory
  // SHA-2 of a file of the list, by its index; called for SHA manifests only.
  std::function<std::string(std::uint32_t)> sha2_of;
};

// Writes everything but pg_control's name. Durable on return. The directory still cannot
// be started. Returns what its configuration sets and postgresql.auto.conf had to overrule.
std::vector<Override> prepare_standby(const Target& target, const FileList& list, const StandbyFiles& files);

// The commit point: pg_control takes its name. Durable on return.
void commit_standby(Target& target);

}  // namespace standby_clone
