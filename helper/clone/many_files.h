// many_files.h: for tests and bench/: what the helper keeps of a clone of very many files when it goes on with it: the
// journal of the earlier run, the donor's list, the plan, what is left over.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "helper/disk/journal.h"
#include "helper/plan/plan.h"

namespace standby_clone {

class ManyFiles {
 public:
  explicit ManyFiles(std::uint32_t count) : count_(count) {}

  // As a run leaves it that was killed when all was copied.
  void write_journal(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    file << "pg_standby_clone journal 1\n";
    JournalRecords records;
    records.directory({"/data", Origin::kMade, ""});
    records.session({});
    for (std::uint32_t number = 0; number < count_; ++number) {
      records.file(number, path_of(number));
      records.complete(number, kSize, number);
      if (records.bytes().size() < 65536 && number + 1 < count_) continue;
      file << records.bytes();
      records.clear();
    }
  }

  FileList list() const {
    FileList list;
    std::uint64_t entries = 0;
    std::vector<std::byte> bytes(64 * 1024);
    std::optional<protocol::Writer> writer(bytes);
    auto flush = [&] {
      list.add_batch({protocol::Bytes(bytes).first(writer->size())});
      writer.emplace(bytes);
    };
    auto add = [&](protocol::EntryKind kind, std::string_view path, std::uint64_t size = 0) {
      if (writer->size() > bytes.size() - 1024) flush();
      protocol::Entry entry;
      entry.kind = kind;
      entry.mode = 0600;
      entry.size = size;
      entry.path = path;
      protocol::Entry::fields(*writer, entry);
      ++entries;
    };
    add(protocol::EntryKind::kDirectory, "global");
    add(protocol::EntryKind::kDirectory, "base");
    add(protocol::EntryKind::kControlFile, "global/pg_control", kSize);
    for (std::uint32_t number = 0; number < count_; ++number) {
      std::string path = path_of(number);
      if (number % kInOneDirectory == 0) add(protocol::EntryKind::kDirectory, path.substr(0, path.rfind('/')));
      add(protocol::EntryKind::kRelationFile, path, kSize);
    }
    flush();
    list.check_end({entries, list.bytes_total});
    return list;
  }

  // The journal is read and written anew, the list comes, and nothing is left to be read. Returns how many files are
  // known.
  std::uint32_t go_on(const Tree& tree, const std::string& journal_path) const {
    Journal journal = Journal::read(journal_path, Journal::Parts::kAll);
    JournalFile::create(tree, journal);
    KnownFiles known = std::move(journal.files);
    FileList files = list();
    Plan plan(files);
    std::uint32_t found = 0;
    for (std::uint32_t file = 0; file < files.files.size(); ++file) {
      const KnownFile* promised = known.find(files.path(files.files[file]));
      if (promised == nullptr || !promised->is_complete || promised->crc != file) continue;
      plan.leave_out(file);
      ++found;
    }
    return plan.next() ? 0 : found;
  }

  // Of this process, as the system says: "VmRSS:", "VmHWM:".
  static std::uint64_t bytes_of(const std::string& what) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(what)) return std::strtoull(line.c_str() + what.size(), nullptr, 10) * 1024;
    return 0;
  }

 private:
  static constexpr std::uint32_t kInOneDirectory = 50000, kSize = 8192;

  static std::string path_of(std::uint32_t number) {
    return fmt::format("base/{}/{}", 16384 + number / kInOneDirectory, 100000 + number);
  }

  const std::uint32_t count_;
};

}  // namespace standby_clone
