// protocol_test.cpp: every message there and back, and everything that is not one
// refused. Buffers have exactly the size of their content, so that the address sanitizer
// sees a read past the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "protocol/frame.h"
#include "protocol/path.h"
#include "protocol/request.h"

namespace protocol {
namespace {

// Bytes on the heap without a byte to spare.
class Exact {
 public:
  explicit Exact(Bytes from) : size_(from.size()), bytes_(new std::byte[from.size()]) {
    std::copy(from.begin(), from.end(), bytes_.get());
  }
  Bytes bytes() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

// Walks fields() and gives each field a value with all its bytes in use.
class Filler {
 public:
  template <class... F>
  void operator()(F&... field) { (fill(field), ...); }

 private:
  template <Number T>
  void fill(T& value) { value = static_cast<T>(random_()); }
  void fill(Token& token) {
    for (auto& byte : token) byte = static_cast<std::byte>(random_());
  }
  void fill(Text& text) { text = content(1 + random_() % 40); }
  void fill(LongText& text) { text.text = content(70000); }
  void fill(Bytes& rest) { rest = std::as_bytes(std::span(content(1 + random_() % 40))); }
  Text content(std::size_t size) {
    std::string& made = kept_.emplace_back(size, '\0');
    for (auto& letter : made) letter = static_cast<char>(random_());
    return made;
  }

  std::mt19937_64 random_{1};
  std::deque<std::string> kept_;
};

// Walks fields() and writes them down, the layout left out: two messages are equal when
// what is written down is.
class Describer {
 public:
  template <class... F>
  void operator()(const F&... field) { (describe(field), ...); }
  std::vector<std::string> fields;
  bool takes_the_rest = false;  // the last field is "all that is left"

 private:
  template <Number T>
  void describe(const T& value) {
    fields.push_back(std::to_string(static_cast<std::int64_t>(value)));
  }
  void describe(const Token& token) { describe(Bytes(token)); takes_the_rest = false; }
  void describe(const Text& text) { fields.emplace_back(text); }
  void describe(const LongText& text) { fields.emplace_back(text.text); }
  void describe(const Bytes& rest) {
    fields.emplace_back(reinterpret_cast<const char*>(rest.data()), rest.size());
    takes_the_rest = true;
  }
};

template <class Message>
Describer described(Message& message) {
  Describer describer;
  Message::fields(describer, message);
  return describer;
}

std::span<std::byte> large_buffer() {
  static std::vector<std::byte> buffer(kFrameMax);
  return buffer;
}

template <class Message>
Exact encoded(const Message& message) {
  std::size_t size = encode(large_buffer(), message);
  EXPECT_GT(size, 0u);
  return Exact(large_buffer().first(size));
}

template <class Message>
class EveryMessage : public testing::Test {};

using Messages =
    testing::Types<Hello, Begin, List, Read, Compare, PageHashes, Heartbeat, PauseAck, End,
                   AckLabel, Outcome, Welcome, Begun, Entries, ListEnd, Data, RangeEnd, Digest,
                   PageDigest, Status, Label, Survey, WalHash, SurveyResult, WalHashResult, Changes,
                   NewerPages, Changed, ChangesEnd, NewerDigest, Inherit>;
TYPED_TEST_SUITE(EveryMessage, Messages);

TYPED_TEST(EveryMessage, comes_back_as_it_was) {
  Filler filler;
  TypeParam sent;
  TypeParam::fields(filler, sent);
  Exact wire = encoded(sent);
  EXPECT_EQ(kind_of<std::remove_const_t<decltype(TypeParam::kKind)>>(wire.bytes()),
            TypeParam::kKind);
  TypeParam came;
  ASSERT_TRUE(decode(wire.bytes(), came));
  EXPECT_EQ(described(came).fields, described(sent).fields);
}

TYPED_TEST(EveryMessage, comes_back_with_every_text_empty) {
  TypeParam sent;
  Exact wire = encoded(sent);
  TypeParam came;
  ASSERT_TRUE(decode(wire.bytes(), came));
  EXPECT_EQ(described(came).fields, described(sent).fields);
}

TYPED_TEST(EveryMessage, cut_short_anywhere_is_refused) {
  Filler filler;
  TypeParam sent;
  TypeParam::fields(filler, sent);
  std::size_t rest_size = 0;
  if (described(sent).takes_the_rest) rest_size = described(sent).fields.back().size();
  Exact wire = encoded(sent);
  std::size_t size = wire.bytes().size();
  // Long texts are all alike in the middle.
  for (std::size_t cut = 0; cut < size - rest_size; cut += cut > 4096 && size - cut > 200 ? 97 : 1) {
    TypeParam came;
    EXPECT_FALSE(decode(Exact(wire.bytes().first(cut)).bytes(), came)) << cut << " of " << size;
  }
}

TYPED_TEST(EveryMessage, with_a_byte_too_many_is_refused) {
  Filler filler;
  TypeParam sent;
  TypeParam::fields(filler, sent);
  Exact wire = encoded(sent);
  std::vector<std::byte> longer(wire.bytes().begin(), wire.bytes().end());
  longer.push_back(std::byte{'+'});
  Exact exact{Bytes(longer)};
  TypeParam came;
  Describer expected = described(sent);
  // Where the last field is all that is left, the byte is its own.
  ASSERT_EQ(decode(exact.bytes(), came), expected.takes_the_rest);
  if (!expected.takes_the_rest) return;
  expected.fields.back() += '+';
  EXPECT_EQ(described(came).fields, expected.fields);
}

TYPED_TEST(EveryMessage, of_another_kind_is_refused) {
  Exact wire = encoded(TypeParam{});
  std::vector<std::byte> other(wire.bytes().begin(), wire.bytes().end());
  for (int kind = 0; kind < 256; ++kind) {
    if (kind == static_cast<int>(TypeParam::kKind)) continue;
    other[0] = static_cast<std::byte>(kind);
    TypeParam came;
    EXPECT_FALSE(decode(Bytes(other), came)) << kind;
  }
}

TYPED_TEST(EveryMessage, that_does_not_fit_is_not_written) {
  Filler filler;
  TypeParam sent;
  TypeParam::fields(filler, sent);
  std::size_t size = encoded(sent).bytes().size();
  for (std::size_t room = 0; room < size; room += room > 4096 ? 97 : 1) {
    std::unique_ptr<std::byte[]> out(new std::byte[room]);
    EXPECT_EQ(encode(std::span(out.get(), room), sent), 0u) << room << " of " << size;
  }
  std::unique_ptr<std::byte[]> out(new std::byte[size]);
  EXPECT_EQ(encode(std::span(out.get(), size), sent), size);
}

TYPED_TEST(EveryMessage, of_random_bytes_stays_within_them) {
  std::mt19937_64 random(7);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> noise(1 + random() % 200);
    // Small values often: they are lengths that fit.
    for (auto& byte : noise) byte = static_cast<std::byte>(random() % 3 == 0 ? random() : random() % 4);
    noise[0] = static_cast<std::byte>(TypeParam::kKind);
    Exact wire{Bytes(noise)};
    TypeParam came;
    if (!decode(wire.bytes(), came)) continue;
    ++accepted;
    // Every byte that was promised is read here, and what was taken makes the message again.
    described(came);
    Exact again = encoded(came);
    ASSERT_TRUE(std::ranges::equal(again.bytes(), wire.bytes()));
  }
  if constexpr (std::is_same_v<TypeParam, Data>) {
    EXPECT_GT(accepted, 0);
  }
}

TEST(Wire, integers_go_lowest_byte_first) {
  std::array<std::byte, 22> out{};
  Writer writer(out);
  writer(std::uint8_t{0x01}, std::uint16_t{0x0302}, std::uint32_t{0x07060504},
         std::uint64_t{0x0F0E0D0C0B0A0908}, std::int8_t{-2}, std::int32_t{-3}, State::kFailed);
  ASSERT_EQ(writer.size(), 21u);
  const unsigned char expected[] = {1,  2,  3,  4,  5,    6,    7,    8,    9,    10, 11,
                                    12, 13, 14, 15, 0xFE, 0xFD, 0xFF, 0xFF, 0xFF, 5};
  EXPECT_EQ(std::memcmp(out.data(), expected, sizeof(expected)), 0);
  Reader reader{Bytes(out)};
  std::uint64_t skipped = 0;
  std::uint32_t four = 0;
  std::uint16_t two = 0;
  std::uint8_t one = 0;
  std::int8_t small = 0;
  std::int32_t negative = 0;
  State state{};
  reader(one, two, four, skipped, small, negative, state);
  EXPECT_EQ(small, -2);
  EXPECT_EQ(negative, -3);
  EXPECT_EQ(state, State::kFailed);
  EXPECT_FALSE(reader.at_end());
}

TEST(Wire, a_text_goes_after_its_length) {
  std::array<std::byte, 32> out{};
  Writer writer(out);
  writer(Text("ab"), LongText{"c"}, Text(""));
  ASSERT_EQ(writer.size(), 2 + 2 + 4 + 1 + 2u);
  EXPECT_EQ(std::memcmp(out.data(), "\x02\0ab\x01\0\0\0c\0\0", 11), 0);
}

TEST(Wire, a_text_longer_than_its_length_can_say_is_not_written) {
  std::vector<std::byte> out(200000);
  std::string text(UINT16_MAX, 'x');
  Writer fits(out);
  fits(Text(text));
  EXPECT_EQ(fits.size(), 2 + text.size());
  text += 'x';
  Writer does_not(out);
  does_not(Text(text));
  EXPECT_EQ(does_not.size(), 0u);
  Writer long_one(out);
  long_one(LongText{text});
  EXPECT_EQ(long_one.size(), 4 + text.size());
}

// One failure spoils the whole message, also where later fields would fit again.
TEST(Wire, nothing_is_good_after_the_first_failure) {
  std::array<std::byte, 4> out{};
  Writer writer(out);
  writer(std::uint64_t{1}, std::uint8_t{1});
  EXPECT_EQ(writer.size(), 0u);
  Reader reader{Bytes(out)};
  std::uint64_t eight = 7;
  std::uint8_t one = 7;
  reader(eight, one);
  EXPECT_FALSE(reader.good());
  EXPECT_EQ(eight, 0u);
  EXPECT_EQ(one, 0u);
}

TEST(Wire, a_length_beyond_the_end_is_refused) {
  for (const std::string& wire :
       {std::string("\x09\xFF\xFFxx", 5), std::string("\x09\x03\0xx", 5), std::string("\x09\x01", 2)}) {
    Reader reader(std::as_bytes(std::span(wire)));
    std::uint8_t kind = 0;
    Text text;
    reader(kind, text);
    EXPECT_FALSE(reader.good());
    EXPECT_TRUE(text.empty());
  }
  const std::string wire("\xFF\xFF\xFF\xFFxx", 6);
  Exact exact(std::as_bytes(std::span(wire)));
  Reader reader(exact.bytes());
  LongText text;
  reader(text);
  EXPECT_FALSE(reader.good());
  EXPECT_TRUE(text.text.empty());
}

TEST(Wire, an_empty_message_is_of_no_kind) {
  EXPECT_EQ(static_cast<int>(kind_of<FrameKind>({})), 0);
  Hello hello;
  EXPECT_FALSE(decode({}, hello));
}

TEST(Frame, the_header_of_data_is_as_long_as_it_says) {
  std::array<std::byte, Data::kHeaderSize> out;
  EXPECT_EQ(encode(std::span(out), Data{}), Data::kHeaderSize);
}

TEST(Frame, entries_are_taken_off_one_by_one) {
  std::vector<std::byte> out(4096);
  Writer writer(out);
  const char* paths[] = {"base", "base/1", "base/1/1259"};
  for (const char* path : paths) {
    Entry entry;
    entry.path = path;
    entry.size = 8192;
    entry.modified = -1;
    Entry::fields(writer, entry);
  }
  Exact exact(Bytes(out).first(writer.size()));
  Bytes rest = exact.bytes();
  Entry entry;
  for (const char* path : paths) {
    ASSERT_TRUE(next_entry(rest, entry));
    EXPECT_EQ(entry.path, path);
    EXPECT_EQ(entry.size, 8192u);
    EXPECT_EQ(entry.modified, -1);
  }
  EXPECT_FALSE(next_entry(rest, entry));
  EXPECT_TRUE(rest.empty());

  // Cut anywhere but between two entries, something is left over.
  const std::size_t kFirst = 1 + 2 + 8 + 8 + 2 + 4 + 2, kSecond = kFirst + 2;
  for (std::size_t cut = 1; cut < exact.bytes().size(); ++cut) {
    Exact shorter(exact.bytes().first(cut));
    rest = shorter.bytes();
    while (next_entry(rest, entry)) {}
    EXPECT_EQ(rest.empty(), cut == kFirst || cut == kFirst + kSecond) << cut;
  }
}

TEST(Frame, random_entries_come_to_an_end) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::byte> noise(random() % 300);
    for (auto& byte : noise) byte = static_cast<std::byte>(random() % 8 == 0 ? random() : 0);
    Exact exact{Bytes(noise)};
    Bytes rest = exact.bytes();
    Entry entry;
    while (true) {
      std::size_t before = rest.size();
      if (!next_entry(rest, entry)) break;
      ASSERT_LT(rest.size(), before);
      ASSERT_LE(entry.path.size() + entry.target.size(), before - rest.size());
      std::string(entry.path) += entry.target;
    }
  }
}

TEST(Limits, fit_into_one_another) {
  EXPECT_EQ(kChunkSize % kFramePlainMax, 0u);
  EXPECT_LE(Data::kHeaderSize + kFramePlainMax, kFrameMax);
  Read read;
  std::string path(kPathMax, 'x');
  read.path = path;
  std::vector<std::byte> request(kRequestMax);
  EXPECT_GT(encode(std::span(request), read), 0u);
  // The longest error text, twice over, with all the rest of a Status.
  Status status;
  std::string error(2 * kTextMax, 'x');
  status.error = error;
  std::vector<std::byte> frame(kFrameMax);
  EXPECT_GT(encode(std::span(frame), status), 0u);
}

TEST(Phase, every_one_has_a_word_of_its_own) {
  std::set<std::string> words;
  for (int phase = 0; phase < kPhaseCount; ++phase) words.insert(name_of(static_cast<Phase>(phase)));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(kPhaseCount));
  EXPECT_FALSE(words.contains("unknown"));
  EXPECT_STREQ(name_of(static_cast<Phase>(kPhaseCount)), "unknown");
  words.clear();
  for (int state = 0; state < kStateCount; ++state) words.insert(name_of(static_cast<State>(state)));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(kStateCount));
  EXPECT_FALSE(words.contains("unknown"));
  EXPECT_STREQ(name_of(static_cast<State>(kStateCount)), "unknown");
}

TEST(State, ended_is_what_cannot_change_any_more) {
  for (State state : {State::kQueued, State::kRunning, State::kPaused, State::kDisconnected})
    EXPECT_FALSE(is_ended(state)) << name_of(state);
  for (State state : {State::kCompleted, State::kFailed, State::kCancelled})
    EXPECT_TRUE(is_ended(state)) << name_of(state);
}

TEST(Path, of_a_cluster_is_clean) {
  for (const char* path : {"PG_VERSION", "base/5/1259", "global/pg_control", "...", "a/..b/c..",
                           "a b", "pg_tblspc/16400/PG_15_202209061/5/16401.1", ".hidden", "\xC3\xBC"})
    EXPECT_TRUE(is_clean_path(path)) << path;
}

TEST(Path, that_leaves_or_is_no_path_is_refused) {
  for (const char* path : {"", "/", "/etc/passwd", "..", ".", "../x", "a/..", "a/../b", "./a", "a/.",
                           "a/./b", "a//b", "a/", "a\nb", "a\tb", "\x1F"})
    EXPECT_FALSE(is_clean_path(path)) << path;
  EXPECT_FALSE(is_clean_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_clean_path(std::string_view("\0", 1)));
}

TEST(Path, leaves_room_for_a_terminating_zero) {
  EXPECT_TRUE(is_clean_path(std::string(kPathMax - 1, 'x')));
  EXPECT_FALSE(is_clean_path(std::string(kPathMax, 'x')));
}

}  // namespace
}  // namespace protocol
