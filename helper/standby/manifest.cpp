// manifest.cpp: the manifest's text. Its checksum covers every byte before the last
// line, so the text is written in order and hashed on the way.
#include "helper/standby/manifest.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <sstream>
#include <unistd.h>

#include "helper/base/failure.h"
#include "helper/base/size.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

const char* name_of(ManifestChecksums algorithm) {
  switch (algorithm) {
    case ManifestChecksums::kNone: return "NONE";
    case ManifestChecksums::kCrc32c: return "CRC32C";
    case ManifestChecksums::kSha224: return "SHA224";
    case ManifestChecksums::kSha256: return "SHA256";
    case ManifestChecksums::kSha384: return "SHA384";
    case ManifestChecksums::kSha512: return "SHA512";
  }
  return "NONE";
}

std::string hex_of(std::string_view bytes) {
  std::string hex;
  for (unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

// As JSON text if it is UTF-8, else in hex, each under its own key.
std::string path_member(std::string_view path, bool in_hex) {
  auto encoded = [&] { return "\"Encoded-Path\": \"" + hex_of(path) + "\""; };
  if (in_hex) return encoded();
  try {
    return "\"Path\": " + nlohmann::json(std::string(path)).dump();
  } catch (const nlohmann::json::exception&) {
    return encoded();
  }
}

}  // namespace

struct Sha2::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha2::Sha2(ManifestChecksums algorithm) : state_(std::make_unique<State>()) {
  const EVP_MD* method = algorithm == ManifestChecksums::kSha224   ? EVP_sha224()
                         : algorithm == ManifestChecksums::kSha384 ? EVP_sha384()
                         : algorithm == ManifestChecksums::kSha512 ? EVP_sha512()
                                                                   : EVP_sha256();
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, method, nullptr) != 1)
    fail(Kind::kInternal, "could not start a SHA-2 digest");
}

Sha2::~Sha2() = default;

void Sha2::add(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
    fail(Kind::kInternal, "could not compute a SHA-2 digest");
}

std::string Sha2::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, digest, &size) != 1)
    fail(Kind::kInternal, "could not compute a SHA-2 digest");
  return hex_of({reinterpret_cast<const char*>(digest), size});
}

Manifest::Manifest(Write write, ManifestChecksums algorithm, int server_version,
                   std::uint64_t system_identifier, bool encodes_paths)
    : write_(std::move(write)), algorithm_(algorithm), encodes_paths_(encodes_paths), whole_(ManifestChecksums::kSha256) {
  if (server_version >= 170000)
    put(fmt::format("{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": {},\n",
                    system_identifier));
  else
    put("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n");
  put("\"Files\": [");
}

void Manifest::add_file(std::string_view path, std::uint64_t size, std::int64_t modified,
                        const std::string& checksum) {
  std::string line = has_files_ ? ",\n" : "\n";
  has_files_ = true;
  line += fmt::format("{{ {}, \"Size\": {}, \"Last-Modified\": \"{}\"", path_member(path, encodes_paths_), size,
                      utc_time(modified, "%Y-%m-%d %H:%M:%S GMT"));
  if (algorithm_ != ManifestChecksums::kNone && !checksum.empty())
    line += fmt::format(", \"Checksum-Algorithm\": \"{}\", \"Checksum\": \"{}\"",
                        name_of(algorithm_), checksum);
  put(line + " }");
}

void Manifest::finish(const std::vector<WalRange>& ranges) {
  put("\n],\n\"WAL-Ranges\": [\n");
  for (std::size_t index = 0; index < ranges.size(); ++index)
    put(fmt::format("{}{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}",
                    index == 0 ? "" : ",\n", ranges[index].timeline, to_string(ranges[index].start),
                    to_string(ranges[index].end)));
  put("\n],\n");
  write_(fmt::format("\"Manifest-Checksum\": \"{}\"}}\n", whole_.hex()));
}

void Manifest::put(std::string_view text) {
  whole_.add(text);
  write_(text);
}

std::string checksum_of_file(const Tree& tree, const std::string& path,
                             ManifestChecksums algorithm) {
  if (algorithm == ManifestChecksums::kNone) return "";
  UniqueFd file = tree.open(path, O_RDONLY | O_NONBLOCK);
  if (!file) fail_on_disk("open file", tree.shown(path), errno);
  bool is_crc = algorithm == ManifestChecksums::kCrc32c;
  std::uint32_t crc = 0;
  Sha2 digest(is_crc ? ManifestChecksums::kSha256 : algorithm);
  std::vector<char> buffer(256 * 1024);
  while (true) {
    ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_disk("read file", tree.shown(path), errno);
    if (got == 0) return is_crc ? checksum_of_crc(crc) : digest.hex();
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    if (is_crc)
      crc = protocol::crc32c_combine(crc, protocol::crc32c(std::as_bytes(std::span(bytes))), bytes.size());
    else
      digest.add(bytes);
  }
}

std::string checksum_of_crc(std::uint32_t crc) {
  std::string hex;
  for (int shift = 0; shift < 32; shift += 8) hex += fmt::format("{:02x}", (crc >> shift) & 0xFF);
  return hex;
}

std::vector<WalRange> wal_ranges(Timeline start_timeline, Lsn start, Timeline stop_timeline,
                                 Lsn stop, const std::string& history) {
  // Each line of a history: a timeline, where it was left, why. The last one leads to the
  // history's own timeline.
  std::vector<WalRange> ranges;
  std::istringstream lines(history);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Timeline timeline = 0;
    std::string left;
    if (!(words >> timeline >> left)) continue;  // a comment or an empty line
    auto end = parse_lsn(left);
    if (end && timeline >= start_timeline && timeline < stop_timeline)
      ranges.push_back({timeline, 0, *end});
  }
  ranges.push_back({stop_timeline, 0, stop});
  bool leads = ranges.front().timeline == start_timeline;
  for (Lsn at = start; auto& range : ranges) {
    range.start = at;
    leads = leads && range.end >= at;
    at = range.end;
  }
  if (!leads)
    fail(Kind::kCorrupted,
         fmt::format("the history of timeline {} does not lead there from {} on timeline {}",
                     stop_timeline, to_string(start), start_timeline),
         "Run the clone again.");
  return ranges;
}

}  // namespace standby_clone
