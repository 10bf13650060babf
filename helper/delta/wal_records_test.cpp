// Reading WAL that is written here record by record, as the server lays it out.
#include "helper/delta/wal_records.h"

#include <cstring>
#include <gtest/gtest.h>

#include "helper/disk/scratch_directory.h"
#include "protocol/crc32c.h"

namespace standby_clone {
namespace {

constexpr std::uint32_t kSegment = 1024 * 1024, kPage = 8192;
constexpr std::uint8_t kXlog = 0, kXact = 1, kHeap = 10;
constexpr std::uint8_t kOnlineCheckpoint = 0x10, kSwitch = 0x40, kInsert = 0x00, kCommit = 0x00;

// One segment, from `start` on.
class Wal {
 public:
  explicit Wal(Lsn start) : start_(start), at_(start), bytes_(kSegment, '\0') {}

  // A record with that much main data; returns where it begins.
  Lsn add(std::uint8_t manager, std::uint8_t info, std::size_t main_size, std::size_t keep = SIZE_MAX,
          const std::vector<WalBlock>& blocks = {}) {
    std::string body, block_data;
    for (std::size_t index = 0; index < blocks.size(); ++index) {
      const WalBlock& block = blocks[index];
      bool is_same = index > 0 && block.relation == blocks[index - 1].relation;
      bool has_image = index % 2 == 0;
      std::string header(4, '\0');
      header[0] = static_cast<char>(index);
      header[1] = static_cast<char>(block.fork | (is_same ? 0x80 : 0) | (has_image ? 0x10 : 0x20));
      put(header, 2, std::uint16_t{3});
      block_data += "abc";
      if (has_image) {  // with a hole, compressed
        std::string image(7, '\0');
        put(image, 0, std::uint16_t{200});
        image[4] = 0x01 | 0x04;
        header += image;
        block_data += std::string(200, 'i');
      }
      std::string place(is_same ? 4 : 16, '\0');
      if (!is_same) {
        put(place, 0, block.tablespace);
        put(place, 4, block.database);
        put(place, 8, block.relation);
      }
      put(place, place.size() - 4, block.block);
      body += header + place;
    }
    std::string main_header;
    if (main_size > 255) {
      main_header = "\xFE" + std::string(4, '\0');
      put(main_header, 1, static_cast<std::uint32_t>(main_size));
    } else if (main_size > 0) {
      main_header = std::string("\xFF") + static_cast<char>(main_size);
    }
    body += main_header + block_data + std::string(main_size, 'm');
    std::string record(24, '\0');
    put(record, 0, static_cast<std::uint32_t>(24 + body.size()));
    put(record, 8, previous_);
    record[16] = static_cast<char>(info);
    record[17] = static_cast<char>(manager);
    auto crc_of = [](std::string_view text) { return protocol::crc32c(std::as_bytes(std::span(text))); };
    std::uint32_t crc = protocol::crc32c_combine(
        crc_of(body), crc_of(std::string_view(record).substr(0, 20)), 20);
    put(record, 20, crc);
    record += body;
    begin_page(0, 0);
    Lsn begin = at_;
    std::size_t done = 0;
    while (done < std::min(keep, record.size())) {
      begin_page(done > 0 ? 0x1 : 0, record.size() - done);
      std::size_t part = std::min<std::size_t>(kPage - at_ % kPage, record.size() - done);
      std::memcpy(bytes_.data() + (at_ - start_), record.data() + done, part);
      at_ += part;
      done += part;
    }
    at_ = (at_ + 7) & ~Lsn{7};
    if (keep == SIZE_MAX) previous_ = begin;
    return begin;
  }
  // As a server that came up behind a record that was not whole.
  void overwrite_from_next_page() {
    at_ = (at_ + kPage - 1) / kPage * kPage;
    begin_page(0x8, 0);
  }
  Lsn end() const { return at_; }
  std::string& bytes() { return bytes_; }
  void save(const std::string& directory, Timeline timeline = 1) const {
    put_file(directory + "/" + wal_file_name(timeline, start_, kSegment), bytes_);
  }

 private:
  template <class Number>
  static void put(std::string& to, std::size_t at, Number number) {
    std::memcpy(to.data() + at, &number, sizeof(number));
  }
  void begin_page(std::uint16_t info, std::size_t remainder) {
    if (at_ % kPage != 0) return;
    bool is_long = at_ % kSegment == 0;
    std::size_t at = at_ - start_;
    put(bytes_, at + 2, static_cast<std::uint16_t>(info | (is_long ? 0x2 : 0)));
    put(bytes_, at + 8, at_);
    put(bytes_, at + 16, static_cast<std::uint32_t>(remainder));
    at_ += is_long ? 40 : 24;
  }

  Lsn start_, at_, previous_ = 0;
  std::string bytes_;
};

struct WalRecordsTest : testing::Test {
  ScratchDirectory scratch;
  Lsn start = 3 * kSegment;
  Wal wal{start};
  WalDirectory directory{scratch.path(), History(1, ""), kSegment, kPage};
};

TEST_F(WalRecordsTest, each_is_found_also_across_pages) {
  std::vector<Lsn> begins;
  for (std::size_t size : {0, 10, 255, 256, 5000, 40000, 3, 8100, 1}) begins.push_back(wal.add(kHeap, kInsert, size));
  wal.save(scratch.path());
  WalRecords records(directory, start);
  for (Lsn begin : begins) {
    auto record = records.next();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->begin, begin);
  }
  EXPECT_FALSE(records.next());
  EXPECT_EQ(records.at(), wal.end());
  EXPECT_EQ(end_of_valid_wal(directory, start), wal.end());
}

TEST(WalRecord, tells_whether_blocks_and_ends_of_transactions_are_all_that_it_did) {
  auto shows = [](std::uint8_t manager, std::uint8_t info) {
    WalRecord record;
    record.resource_manager = manager;
    record.info = info;
    return record.shows_in_blocks();
  };
  constexpr std::uint8_t kShutdown = 0x00, kParameters = 0x60, kEndOfRecovery = 0x90, kPrepare = 0x10,
                         kCommitPrepared = 0x30, kDatabase = 4, kRelationMap = 7, kExtensions = 128;
  EXPECT_TRUE(shows(kHeap, kInsert));
  EXPECT_TRUE(shows(kXlog, kOnlineCheckpoint));
  EXPECT_TRUE(shows(kXact, kCommit | 0x80)) << "with more in it";
  for (std::uint8_t info : {kShutdown, kParameters, kEndOfRecovery})
    EXPECT_FALSE(shows(kXlog, info)) << "a server began";
  for (std::uint8_t info : {kPrepare, kCommitPrepared}) EXPECT_FALSE(shows(kXact, info));
  for (std::uint8_t manager : {kDatabase, kRelationMap, kExtensions}) EXPECT_FALSE(shows(manager, 0));
}

TEST(WalRecord, tells_how_its_transaction_ended) {
  WalRecord record;
  record.resource_manager = kXact;
  EXPECT_EQ(record.commits(), true);
  record.info = 0x20 | 0x80;
  EXPECT_EQ(record.commits(), false);
  record.info = 0x30;
  EXPECT_EQ(record.commits(), std::nullopt) << "of another transaction, which was prepared";
  record.resource_manager = kHeap;
  record.info = 0;
  EXPECT_EQ(record.commits(), std::nullopt);
}

TEST_F(WalRecordsTest, the_first_of_a_segment_is_found_behind_what_began_before_it) {
  for (std::size_t size : {10, 5000, 8128, 30000, 70000}) {
    // The record begins in the segment before: as much of it as lies here is what its pages say.
    std::string segment(kSegment, '\0');
    Lsn at = start;
    std::size_t left = size;
    auto put = [&](std::size_t where, auto number) { std::memcpy(segment.data() + where, &number, sizeof(number)); };
    while (left > 0) {
      std::size_t header = at == start ? 40 : 24;
      put(at - start + 2, static_cast<std::uint16_t>(0x1 | (at == start ? 0x2 : 0)));
      put(at - start + 8, at);
      put(at - start + 16, static_cast<std::uint32_t>(left));
      std::size_t part = std::min<std::size_t>(kPage - header, left);
      left -= part;
      at += left > 0 ? kPage : (header + part + 7) / 8 * 8;
    }
    put_file(scratch.path() + "/" + wal_file_name(1, start, kSegment), segment);
    WalDirectory fresh(scratch.path(), History(1, ""), kSegment, kPage);
    EXPECT_EQ(first_record_in_segment(fresh, start + 100), at) << size;
  }
  wal.add(kHeap, kInsert, 10);
  wal.save(scratch.path());
  WalDirectory fresh(scratch.path(), History(1, ""), kSegment, kPage);
  EXPECT_EQ(first_record_in_segment(fresh, start + 100), start);
  EXPECT_EQ(first_record_in_segment(fresh, start - 1), std::nullopt);
}

TEST_F(WalRecordsTest, name_their_blocks) {
  std::vector<WalBlock> some{{1663, 5, 16384, 0, 7}, {1663, 5, 16384, 2, 0}, {16500, 5, 16390, 0, 4000000000}};
  wal.add(kHeap, kInsert, 10, SIZE_MAX, some);
  wal.add(kHeap, kInsert, 300);
  wal.add(kHeap, kInsert, 0, SIZE_MAX, {some[0]});
  wal.add(kHeap, kInsert, 300, SIZE_MAX, {some[2], some[0]});
  wal.save(scratch.path());
  WalRecords records(directory, start);
  auto blocks_of_next = [&] {
    auto record = records.next();
    EXPECT_TRUE(record);
    return record ? std::vector<WalBlock>(record->blocks.begin(), record->blocks.end()) : std::vector<WalBlock>{};
  };
  EXPECT_EQ(blocks_of_next(), some);
  EXPECT_EQ(blocks_of_next(), std::vector<WalBlock>{});
  EXPECT_EQ(blocks_of_next(), (std::vector<WalBlock>{some[0]}));
  EXPECT_EQ(blocks_of_next(), (std::vector<WalBlock>{some[2], some[0]}));
  EXPECT_FALSE(records.next());
}

TEST_F(WalRecordsTest, end_at_a_byte_that_is_wrong) {
  wal.add(kHeap, kInsert, 100);
  Lsn good = wal.end();
  Lsn bad = wal.add(kHeap, kInsert, 100);
  wal.add(kHeap, kInsert, 100);
  wal.bytes()[bad - start + 60] ^= 1;
  wal.save(scratch.path());
  EXPECT_EQ(end_of_valid_wal(directory, start), good);
}

TEST_F(WalRecordsTest, do_not_read_on_in_a_recycled_segment) {
  wal.add(kHeap, kInsert, 100);
  wal.save(scratch.path());
  // The next segment's name, the content of this one.
  put_file(scratch / wal_file_name(1, start + kSegment, kSegment), wal.bytes());
  WalRecords records(directory, start + kSegment);
  EXPECT_FALSE(records.next());
}

TEST_F(WalRecordsTest, go_on_behind_one_that_was_never_finished) {
  wal.add(kHeap, kInsert, 100);
  wal.add(kHeap, kInsert, 9000, 2000);
  wal.overwrite_from_next_page();
  Lsn last = wal.add(kHeap, kInsert, 7);
  wal.save(scratch.path());
  WalRecords records(directory, start);
  ASSERT_TRUE(records.next());
  auto record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->begin, last);
}

TEST_F(WalRecordsTest, go_on_in_the_next_segment_after_a_switch) {
  Lsn begin = wal.add(kXlog, kSwitch, 0);
  Wal next(start + kSegment);
  wal.save(scratch.path());
  WalRecords records(directory, start);
  auto record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->begin, begin);
  EXPECT_EQ(record->end, start + kSegment);
}

TEST_F(WalRecordsTest, of_the_newest_timeline_that_has_the_segment) {
  wal.add(kHeap, kInsert, 1);
  wal.save(scratch.path(), 1);
  Lsn left = wal.end();
  wal.add(kHeap, kInsert, 2);
  wal.save(scratch.path(), 2);
  History history(2, "1\t" + to_string(left) + "\treason\n");
  EXPECT_EQ(end_of_valid_wal(WalDirectory(scratch.path(), history, kSegment, kPage), start), wal.end());
  EXPECT_EQ(end_of_valid_wal(directory, start), left);
}

// From the youngest record with a time on: nothing older can be alike by chance.
TEST_F(WalRecordsTest, prove_a_history_from_the_youngest_time_on) {
  wal.add(kXlog, kOnlineCheckpoint, 88);
  wal.add(kHeap, kInsert, 10);
  Lsn commit = wal.add(kXact, kCommit, 8);
  wal.add(kHeap, kInsert, 10);
  Lsn until = wal.end();
  wal.add(kXact, kCommit, 8);
  wal.save(scratch.path());
  auto evidence = evidence_up_to(until, directory, start);
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->from, commit);
  EXPECT_EQ(evidence->to, until);
}

TEST_F(WalRecordsTest, prove_nothing_where_some_of_it_is_missing_or_has_no_time) {
  wal.add(kHeap, kInsert, 10);
  Lsn until = wal.end();
  wal.save(scratch.path());
  EXPECT_FALSE(evidence_up_to(until, directory, start));
  EXPECT_FALSE(evidence_up_to(until + 1000, directory, start));
  EXPECT_FALSE(evidence_up_to(until, directory, start + kSegment));
}

}  // namespace
}  // namespace standby_clone
