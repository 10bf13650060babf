// plan_test.cpp: the list read with suspicion, and every byte of it planned once.
#include "helper/plan/plan.h"

#include <gtest/gtest.h>

#include <map>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

using protocol::Entry;
using protocol::EntryKind;

Entry entry(EntryKind kind, std::string_view path, std::uint64_t size = 0,
            std::string_view target = "") {
  Entry made;
  made.kind = kind;
  made.path = path;
  made.size = size;
  made.target = target;
  made.mode = 0600;
  return made;
}

void add(FileList& list, const std::vector<Entry>& entries, std::size_t cut = 0) {
  std::vector<std::byte> bytes(64 * 1024);
  protocol::Writer writer(bytes);
  for (const Entry& one : entries) Entry::fields(writer, one);
  list.add_batch({protocol::Bytes(bytes.data(), writer.size() - cut)});
}

TEST(FileList, keeps_what_the_donor_has) {
  FileList list;
  add(list, {entry(EntryKind::kDirectory, "base"), entry(EntryKind::kDirectory, "base/5"),
             entry(EntryKind::kRelationFile, "base/5/1259", 8192),
             entry(EntryKind::kFile, "PG_VERSION", 3), entry(EntryKind::kDirectory, "pg_tblspc"),
             entry(EntryKind::kDirectory, "global"),
             entry(EntryKind::kTablespace, "pg_tblspc/16400", 0, "/tbs"),
             entry(EntryKind::kSkipped, "server.key", 0, "is a link"),
             entry(EntryKind::kControlFile, "global/pg_control", 8192)});
  ASSERT_EQ(list.files.size(), 2u);
  EXPECT_EQ(list.path(list.files[0]), "base/5/1259");
  EXPECT_TRUE(list.files[0].is_relation);
  EXPECT_EQ(list.path(list.files[1]), "PG_VERSION");
  EXPECT_EQ(list.directories, (std::vector<std::string>{"base", "base/5", "pg_tblspc", "global"}));
  EXPECT_EQ(list.tablespaces.at(0).target, "/tbs");
  ASSERT_EQ(list.skipped.size(), 1u);
  EXPECT_EQ(list.skipped[0].path, "server.key");
  EXPECT_EQ(list.skipped[0].why, "is a link");
  EXPECT_EQ(list.bytes_total, 8192u + 3 + 8192);
  protocol::ListEnd end;
  end.entry_count = 9;
  list.check_end(end);
  end.entry_count = 10;
  EXPECT_THROW(list.check_end(end), Failure);
}

TEST(FileList, refuses_what_would_leave_the_target) {
  const Entry hostile[] = {
      entry(EntryKind::kFile, "../etc/passwd"), entry(EntryKind::kFile, "/etc/passwd"),
      entry(EntryKind::kDirectory, "base/../.."), entry(EntryKind::kFile, ""),
      entry(EntryKind::kTablespace, "base/link", 0, "/etc"),
      entry(EntryKind::kTablespace, "pg_tblspc/16400/x", 0, "/etc"),
      entry(EntryKind::kTablespace, "pg_tblspc/16400", 0, "relative"),
      entry(EntryKind::kTablespace, "pg_tblspc/", 0, "/etc"),
      entry(EntryKind::kFile, "global/pg_control", 8192),
      entry(EntryKind::kControlFile, "base/pg_control", 8192),
      entry(EntryKind::kFile, "huge", ~std::uint64_t{0}),
      entry(static_cast<EntryKind>(99), "x")};
  for (const Entry& one : hostile) {
    FileList list;
    EXPECT_THROW(add(list, {one}), Failure) << one.path;
  }
}

// The clone's own names, and those that would make a directory another thing than a clone.
TEST(FileList, refuses_names_that_are_the_clones_own) {
  for (const char* name :
       {"backup_label", "backup_manifest", "postmaster.pid", "recovery.signal", "standby.signal",
        "tablespace_map", "pg_standby_clone.journal", "pg_standby_clone.journal.new",
        "pg_standby_clone.origin", "global/pg_standby_clone.pg_control"})
    for (auto kind : {EntryKind::kFile, EntryKind::kDirectory}) {
      FileList list;
      EXPECT_THROW(add(list, {entry(kind, name)}), Failure) << name;
    }
  FileList list;
  add(list, {entry(EntryKind::kFile, "backup_label.old"), entry(EntryKind::kFile, "base/backup_label")});
}

// Each of these would write where no directory of this run is, or one file over another.
TEST(FileList, refuses_what_does_not_hang_together) {
  auto whole = [](std::vector<Entry> entries) {
    entries.push_back(entry(EntryKind::kDirectory, "global"));
    entries.push_back(entry(EntryKind::kControlFile, "global/pg_control", 8192));
    FileList list;
    add(list, entries);
    list.check_end({entries.size(), list.bytes_total});
  };
  constexpr auto kDirectory = EntryKind::kDirectory, kFile = EntryKind::kFile;
  const Entry base = entry(kDirectory, "base"), tblspc = entry(kDirectory, "pg_tblspc");
  const Entry space = entry(EntryKind::kTablespace, "pg_tblspc/1", 0, "/space");
  whole({base, entry(kDirectory, "base/5"), entry(kFile, "base/5/1"), entry(kFile, "base/51"),
         tblspc, space, entry(kDirectory, "pg_tblspc/1/PG_15"), entry(kFile, "pg_tblspc/1/PG_15/2"),
         entry(EntryKind::kInPlaceTablespace, "pg_tblspc/3"), entry(kFile, "PG_VERSION")});
  EXPECT_THROW(whole({entry(kFile, "elsewhere/file")}), Failure);
  EXPECT_THROW(whole({base, entry(kFile, "base/5/1")}), Failure);
  EXPECT_THROW(whole({entry(kDirectory, "base/5"), base}), Failure) << "the other way round";
  EXPECT_THROW(whole({entry(kFile, "base"), entry(kFile, "base/1")}), Failure);
  EXPECT_THROW(whole({space}), Failure) << "no pg_tblspc";
  EXPECT_THROW(whole({tblspc, entry(kDirectory, "pg_tblspc/2/PG_15")}), Failure);
  EXPECT_THROW(whole({base, base}), Failure);
  EXPECT_THROW(whole({base, entry(kFile, "base")}), Failure);
  EXPECT_THROW(whole({tblspc, space, space}), Failure);
  EXPECT_THROW(whole({tblspc, space, entry(EntryKind::kInPlaceTablespace, "pg_tblspc/1")}), Failure);
  EXPECT_THROW(whole({base, entry(kFile, "base/1"), entry(kFile, "base/2"), entry(kFile, "base/1")}),
               Failure);
}

TEST(FileList, refuses_a_list_without_end) {
  std::vector<std::byte> bytes(64 * 1024);
  protocol::Writer writer(bytes);
  const Entry one = entry(EntryKind::kDirectory, "a");
  for (int count = 0; count < 1000; ++count) Entry::fields(writer, one);
  protocol::Entries batch{protocol::Bytes(bytes.data(), writer.size())};
  FileList list;
  auto feed = [&] {
    for (int count = 0; count < 2000; ++count) list.add_batch(batch);
  };
  EXPECT_THROW(feed(), Failure);
  EXPECT_LE(list.directories.size(), 1u << 20);
}

TEST(FileList, refuses_a_cut_batch) {
  FileList list;
  EXPECT_THROW(add(list, {entry(EntryKind::kFile, "PG_VERSION", 3)}, 1), Failure);
}

FileList list_of(std::vector<std::uint64_t> sizes) {
  FileList list;
  for (std::size_t index = 0; index < sizes.size(); ++index) {
    File file;
    file.size = sizes[index];
    list.files.push_back(file);
  }
  return list;
}

TEST(Plan, gives_each_byte_once_in_whole_chunks) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  FileList list = list_of({0, 1, 8192, kMiB, kMiB + 1, 16 * kMiB, 16 * kMiB + 8192, 1024 * kMiB, 0});
  Plan plan(list);
  std::map<std::uint32_t, std::uint64_t> covered;
  std::map<std::uint32_t, int> pieces;
  while (auto piece = plan.next()) {
    EXPECT_EQ(piece->offset, covered[piece->file]) << "gap or overlap";
    EXPECT_EQ(piece->offset % protocol::kChunkSize, 0u);
    EXPECT_LE(piece->length, kPieceSize);
    covered[piece->file] += piece->length;
    ++pieces[piece->file];
  }
  for (std::uint32_t index = 0; index < list.files.size(); ++index) {
    EXPECT_EQ(covered[index], list.files[index].size);
    EXPECT_GE(pieces[index], 1) << "an empty file is a piece too";
  }
  EXPECT_EQ(pieces[7], 64);
  EXPECT_FALSE(plan.next());
}

TEST(Plan, starts_with_the_largest_file) {
  FileList list = list_of({5, 70000, 3, 900000});
  Plan plan(list);
  std::vector<std::uint32_t> order;
  while (auto piece = plan.next()) order.push_back(piece->file);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{3, 1, 0, 2}));
}

TEST(Plan, gives_out_again_what_is_given_back) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  FileList list = list_of({40 * kMiB, 5});
  Plan plan(list);
  Piece first = *plan.next();
  plan.give_back({first.file, 3 * kMiB, 13 * kMiB});
  Piece again = *plan.next();
  EXPECT_EQ(again.file, first.file);
  EXPECT_EQ(again.offset, 3 * kMiB);
  EXPECT_EQ(again.length, 13 * kMiB);
  std::uint64_t rest = 0;
  while (auto piece = plan.next()) rest += piece->length;
  EXPECT_EQ(rest, 24 * kMiB + 5);
  EXPECT_TRUE(plan.is_empty());
  // After all was given out: a stream that breaks last still finds its work.
  plan.give_back({1, 0, 5});
  EXPECT_FALSE(plan.is_empty());
  ASSERT_TRUE(plan.next());
  EXPECT_FALSE(plan.next());
}

TEST(Plan, of_nothing_is_empty) {
  FileList list;
  EXPECT_FALSE(Plan(list).next());
}

TEST(File, stays_small) { EXPECT_LE(sizeof(File), 48u); }

}  // namespace
}  // namespace standby_clone
