// standby.cpp: the order here is what makes a half-made clone impossible to start: each
// step is durable before the next begins, and pg_control has no name before the last.
#include "helper/standby/standby.h"

#include <ctime>
#include <filesystem>

#include "protocol/crc32c.h"
#include "helper/standby/origin.h"
#include "helper/standby/settings_file.h"

namespace standby_clone {
namespace {

constexpr char kControlFile[] = "global/pg_control";
constexpr char kControlFileWaiting[] = "global/pg_standby_clone.pg_control";
constexpr char kManifest[] = "backup_manifest";

std::string checksum_of(const std::string& content, ManifestChecksums algorithm) {
  if (algorithm == ManifestChecksums::kNone) return "";
  if (algorithm == ManifestChecksums::kCrc32c)
    return checksum_of_crc(protocol::crc32c(std::as_bytes(std::span(content))));
  Sha2 digest(algorithm);
  digest.add(content);
  return digest.hex();
}

// By what is here, not by what the donor had when it was asked.
std::vector<Override> write_settings(const Target& target, const FileList& list, const StandbyFiles& files) {
  std::string before;
  Configuration configuration;
  configuration.read(files.config_file.empty() ? target.absolute("postgresql.conf") : files.config_file);
  bool is_there = files.keeps_own_settings && std::filesystem::exists(target.absolute(kAutoConf));
  for (const File& file : list.files) is_there |= list.path(file) == kAutoConf && !file.is_gone;
  if (is_there) before = target.read_file(kAutoConf);
  if (!before.empty()) configuration.read(target.absolute(kAutoConf));
  for (const auto& [name, value] : files.settings) configuration.settings.push_back({name, value, kGiven});
  auto overrides = overrides_for(configuration, {files.donor_directory, target.path()}, !files.slot_name.empty());
  target.write_file(kAutoConf, standby_settings(before, files.conninfo, files.slot_name, overrides, files.settings));
  return overrides;
}

void write_manifest(const Target& target, const FileList& list, const StandbyFiles& files) {
  const std::string fresh = std::string(kManifest) + ".new";
  target.remove_file(fresh);
  auto output = target.create_file(fresh, 0);
  std::string gathered;
  std::uint64_t written = 0;
  auto flush = [&] {
    output->write(written, std::as_bytes(std::span(gathered)));
    written += gathered.size();
    gathered.clear();
  };
  Manifest manifest(
      [&](std::string_view text) {
        gathered += text;
        if (gathered.size() > 64 * 1024) flush();
      },
      files.manifest_checksums, files.server_version, files.system_identifier, files.encode_manifest);
  auto now = static_cast<std::int64_t>(std::time(nullptr));
  bool is_sha = files.manifest_checksums != ManifestChecksums::kNone &&
                files.manifest_checksums != ManifestChecksums::kCrc32c;
  manifest.add_file("backup_label", files.backup_label.size(), now,
                    checksum_of(files.backup_label, files.manifest_checksums));
  if (!files.origin.empty())
    manifest.add_file(kOriginFile, files.origin.size(), now, checksum_of(files.origin, files.manifest_checksums));
  for (std::uint32_t index = 0; index < list.files.size(); ++index) {
    const File& file = list.files[index];
    if (file.is_gone) continue;
    auto checksum = [&]() -> std::string {
      if (is_sha) return files.sha2_of(index);
      if (file.has_crc) return checksum_of_crc(file.crc);
      if (!files.reads_for_checksums) return "";
      return checksum_of_file(target.tree(), std::string(list.path(file)), files.manifest_checksums);
    };
    manifest.add_file(list.path(file), file.size, file.modified, checksum());
  }
  for (const auto& kept : files.kept)
    manifest.add_file(kept.path, kept.size, kept.modified,
                      checksum_of_file(target.tree(), kept.path, files.manifest_checksums));
  manifest.add_file(kControlFile, files.control_file.size(), now,
                    checksum_of(files.control_file, files.manifest_checksums));
  manifest.finish(files.wal);
  flush();
  output->finish(written, target.file_mode());
  target.sync_file(fresh);
  target.rename_file(fresh, kManifest);
}

}  // namespace

std::vector<Override> prepare_standby(const Target& target, const FileList& list, const StandbyFiles& files) {
  // Tablespace links are there already; tablespace_map is never written: recovery would
  // make its links anew, over the mapped ones (trap 12).
  if (!files.backup_label.empty()) target.write_file("backup_label", files.backup_label);
  if (!files.origin.empty()) target.write_file(kOriginFile, files.origin);
  if (files.write_manifest) write_manifest(target, list, files);
  auto overrides = write_settings(target, list, files);
  target.write_file("standby.signal", "");
  target.write_file(kControlFileWaiting, files.control_file);
  target.sync_directory("global");
  target.sync_directory("");
  return overrides;
}

void commit_standby(Target& target) {
  target.begin_commit();
  target.rename_file(kControlFileWaiting, kControlFile);
  target.sync_directory("global");
  target.commit();
}

}  // namespace standby_clone
