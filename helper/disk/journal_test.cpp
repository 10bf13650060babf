// journal_test.cpp: the journal comes back as it was; what was torn is no record; nothing else
// is taken for one.
#include "helper/disk/journal.h"

#include <gtest/gtest.h>

#include <random>
#include <sys/stat.h>

#include "helper/base/failure.h"
#include "helper/disk/scratch_directory.h"

namespace standby_clone {
namespace {

SessionRecord some_session(std::uint64_t seed = 1) {
  SessionRecord session;
  session.system_identifier = 7000000000000000000 + seed;
  session.timeline = 3;
  session.start_lsn = 0x16B374D848;
  session.token.fill(static_cast<std::byte>(seed));
  session.hash_seed = ~seed;
  session.temporary_slot = "pg_standby_clone_17";
  session.id = -5;
  session.begun_with = "standby 1\nslot";
  return session;
}

std::string text_of(const JournalRecords& records) { return "pg_standby_clone journal 1\n" + records.bytes(); }

class JournalOnDisk : public testing::Test {
 protected:
  JournalOnDisk() { tree_.add_root("", scratch_.path()); }
  std::string bytes() const { return content_of(scratch_ / kJournalName); }
  Journal read() const { return Journal::parse(bytes(), "/data/journal"); }
  JournalRecords of_one_directory() const {
    JournalRecords records;
    records.directory({scratch_.path(), Origin::kEmpty, ""});
    return records;
  }
  JournalFile create(const JournalRecords& records) const {
    return JournalFile::create(tree_, Journal::parse(text_of(records), ""));
  }

  ScratchDirectory scratch_;
  Tree tree_{real_disk(), true};
};

TEST_F(JournalOnDisk, comes_back_as_it_was) {
  JournalRecords records;
  records.directory({"/data", Origin::kMade, ""});
  records.directory({"/tbs with \"quotes\" and \\ and\nnewline", Origin::kEmpty, "pg_tblspc/16400"});
  records.directory({"/tbs\xFF\xFE/\xC3", Origin::kFound, "pg_wal"});
  records.session(some_session());
  records.file(7, "base/5/16384");
  records.chunks(7, {{2 << 20, 1 << 20, 22}, {0, 1 << 20, 20}});
  records.laid_out();
  records.file(8, "PG_VERSION");
  records.complete(8, 3, 0x2247748a);
  auto file = create(records);
  JournalRecords more;
  more.file(1, "base/5/16384");  // numbers are of who writes
  more.chunks(1, {{1 << 20, 1 << 20, 21}, {0, 8192, 19}});
  file.append(more);

  Journal journal = read();
  ASSERT_EQ(journal.directories.size(), 3u);
  EXPECT_EQ(journal.directories[1].path, "/tbs with \"quotes\" and \\ and\nnewline");
  EXPECT_EQ(journal.directories[1].link, "pg_tblspc/16400");
  EXPECT_EQ(journal.directories[1].origin, Origin::kEmpty);
  EXPECT_EQ(journal.directories[2].path, "/tbs\xFF\xFE/\xC3");
  EXPECT_EQ(journal.session, some_session());
  EXPECT_TRUE(journal.is_laid_out);
  EXPECT_FALSE(journal.is_committing);
  ASSERT_EQ(journal.files.count(), 2u);
  const auto& segment = *journal.files.find("base/5/16384");
  EXPECT_FALSE(segment.is_complete);
  ASSERT_EQ(segment.chunks.size(), 3u) << "a chunk said twice counts once";
  EXPECT_EQ(segment.chunks[0].length, 8192u) << "the later word holds";
  EXPECT_EQ(segment.chunks[0].crc, 19u);
  EXPECT_EQ(segment.chunks[1].crc, 21u);
  EXPECT_EQ(segment.chunks[2].offset, std::uint64_t{2} << 20);
  const auto& version = *journal.files.find("PG_VERSION");
  EXPECT_TRUE(version.is_complete);
  EXPECT_EQ(version.size, 3u);
  EXPECT_EQ(version.crc, 0x2247748au);
}

TEST_F(JournalOnDisk, forgets_what_it_is_told_to_forget) {
  auto records = of_one_directory();
  records.session(some_session());
  records.file(1, "a");
  records.complete(1, 1, 1);
  records.file(2, "b");
  records.complete(2, 1, 1);
  records.laid_out();
  records.committing();
  records.forget("a");
  records.forget("never named");
  create(records);
  Journal journal = read();
  EXPECT_TRUE(journal.is_committing);
  EXPECT_EQ(journal.files.count(), 1u);
  EXPECT_NE(journal.files.find("b"), nullptr);

  // It may be spoken of again.
  records.chunks(1, {{0, 1, 1}});
  EXPECT_FALSE(Journal::parse(text_of(records), "").files.find("a")->is_complete);

  // A new session owes nothing to the old one, nor has it begun to commit.
  records.session(some_session(2));
  create(records);
  EXPECT_EQ(read().files.count(), 0u);
  EXPECT_FALSE(read().is_committing);
  EXPECT_FALSE(read().is_laid_out);
}

// It holds the token: whoever reads it can pass for the helper.
TEST_F(JournalOnDisk, is_readable_by_its_owner_alone) {
  mode_t before = umask(0);
  create(of_one_directory());
  umask(before);
  struct stat status {};
  ASSERT_EQ(stat((scratch_ / kJournalName).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(JournalOnDisk, cut_short_anywhere_has_what_was_whole) {
  auto records = of_one_directory();
  std::vector<std::size_t> ends;
  auto base = create(records);
  ends.push_back(bytes().size());
  for (std::uint32_t number = 0; number < 4; ++number) {
    JournalRecords one;
    one.file(number, "base/5/" + std::to_string(number));
    one.complete(number, number, number);
    base.append(one);
    ends.push_back(bytes().size());
  }
  std::string whole = bytes();
  for (std::size_t size = ends[0]; size <= whole.size(); ++size) {
    Journal journal = Journal::parse(whole.substr(0, size), "");
    std::size_t complete = 0;
    while (complete + 1 < ends.size() && ends[complete + 1] <= size) ++complete;
    // The file record alone promises nothing.
    EXPECT_EQ(journal.files.count(), complete) << size;
  }
}

// A sector of the tail that never reached the disk: zeros, or what was there before.
TEST_F(JournalOnDisk, with_a_torn_tail_goes_on_after_what_was_whole) {
  auto records = of_one_directory();
  records.file(1, "whole");
  records.complete(1, 1, 1);
  create(records);
  std::size_t good = bytes().size();
  for (const std::string& tail : {std::string(100, '\0'), std::string(3, 'x'), std::string(5000, '\xFF'),
                                  bytes().substr(27, 20)}) {
    put_file(scratch_ / kJournalName, bytes().substr(0, good) + tail);
    auto file = JournalFile::create(tree_, read());
    EXPECT_EQ(bytes().size(), good);
    JournalRecords more;
    more.file(2, "later");
    more.complete(2, 2, 2);
    file.append(more);
    EXPECT_EQ(read().files.count(), 2u) << tail.size();
  }
}

TEST_F(JournalOnDisk, with_one_bit_turned_never_says_what_was_not_written) {
  auto records = of_one_directory();
  records.session(some_session());
  records.file(1, "base/5/1");
  records.complete(1, 8192, 4711);
  records.file(2, "base/5/2");
  records.chunks(2, {{0, 100, 17}});
  std::string whole = text_of(records);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string turned = whole;
    turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ (1 << (bit % 8)));
    try {
      Journal journal = Journal::parse(turned, "");
      // What comes after it is not believed either.
      journal.files.for_each([&](std::string_view path, const KnownFile& file) {
        EXPECT_EQ(path, "base/5/1") << bit;
        EXPECT_EQ(file.crc, 4711u) << bit;
      });
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, Kind::kTargetRefused) << bit;
    }
  }
}

// What is read in pieces and written anew is the same, and says nothing twice.
TEST_F(JournalOnDisk, is_read_in_pieces_and_compacted_when_it_is_written_anew) {
  constexpr std::uint32_t kFiles = 20000;
  auto records = of_one_directory();
  records.session(some_session());
  for (std::uint32_t run = 0; run < 3; ++run)
    for (std::uint32_t number = 0; number < kFiles; ++number) {
      // Each run gives out numbers of its own.
      std::uint32_t file = (number + run) % kFiles;
      records.file(number, "base/5/" + std::to_string(file));
      records.chunks(number, {{0, 8192, file}});
      if (file % 2 == 0) records.complete(number, 8192, file);
    }
  records.forget("base/5/7");
  put_file(scratch_ / kJournalName, text_of(records) + "torn");
  std::string path = scratch_ / kJournalName;
  JournalFile::create(tree_, Journal::read(path, Journal::Parts::kAll));
  EXPECT_LT(bytes().size(), records.bytes().size() / 3);
  Journal journal = Journal::read(path, Journal::Parts::kAll);
  EXPECT_EQ(journal.session, some_session());
  ASSERT_EQ(journal.files.count(), kFiles - 1);
  for (std::uint32_t file = 0; file < kFiles; ++file) {
    const KnownFile* known = journal.files.find("base/5/" + std::to_string(file));
    ASSERT_EQ(known == nullptr, file == 7) << file;
    if (known == nullptr) continue;
    EXPECT_EQ(known->is_complete, file % 2 == 0);
    EXPECT_EQ(known->is_complete ? known->crc : known->chunks.at(0).crc, file);
  }
  Journal facts = Journal::read(path, Journal::Parts::kAllButFiles);
  EXPECT_EQ(facts.session, some_session());
  EXPECT_EQ(facts.files.count(), 0u);
}

TEST(Journal, of_others_is_refused_by_name) {
  std::mt19937 random(1);
  std::string noise(4000, '\0');
  for (auto& letter : noise) letter = static_cast<char>(random());
  for (const std::string& text :
       {std::string(), std::string("{}"), noise, std::string("pg_standby_clone journal 2\n"),
        std::string("pg_standby_clone journal 1\n"), "pg_standby_clone journal 1\n" + noise}) {
    try {
      Journal::parse(text, "/data/journal");
      ADD_FAILURE() << "was taken";
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, Kind::kTargetRefused);
      EXPECT_NE(failure.message.find("/data/journal"), std::string::npos) << failure.message;
      EXPECT_FALSE(failure.hint.empty());
    }
  }
}

// Sound records of a journal that we would not write.
TEST(Journal, that_would_have_the_wrong_directory_emptied_is_refused) {
  for (const char* path : {"", "/", "data", "../data"}) {
    JournalRecords records;
    records.directory({path, Origin::kMade, ""});
    EXPECT_THROW(Journal::parse(text_of(records), ""), Failure) << path;
  }
  JournalRecords records;
  records.directory({"/data", Origin::kMade, ""});
  records.complete(3, 1, 1);  // of a file never named
  EXPECT_THROW(Journal::parse(text_of(records), ""), Failure);
  JournalRecords hostile;
  hostile.directory({"/data", Origin::kMade, ""});
  hostile.file(1, "../../etc/passwd");
  EXPECT_THROW(Journal::parse(text_of(hostile), ""), Failure);
}

}  // namespace
}  // namespace standby_clone
