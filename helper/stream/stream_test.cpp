// stream_test.cpp: a stream against a donor of our own, honest or not: a thread behind a
// socket that speaks as much of PostgreSQL's protocol as a copy needs.
#include "helper/stream/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <zstd.h>

#include "helper/claim/claim.h"
#include "helper/disk/scratch_directory.h"
#include "helper/stream/content_of_tests.h"

namespace standby_clone {
namespace {

using protocol::Coding;
using protocol::Data;
using protocol::RangeEnd;
using protocol::RangeStatus;
using protocol::Read;

protocol::Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// One connection, already accepted and in CopyBoth, seen from the donor.
class DonorSide {
 public:
  explicit DonorSide(int socket) : socket_(socket) {}

  struct Asked {
    std::uint32_t tag = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::string path;
    std::size_t size = 0;  // of the request
  };

  // The next request; empty when the helper has left, or is silent for so long.
  std::string next_request(int timeout_ms = 5000) {
    pollfd ready{socket_, POLLIN, 0};
    if (poll(&ready, 1, timeout_ms) != 1) return "";
    auto message = read_message();
    return message.empty() || message[0] != 'd' ? "" : message.substr(5);
  }
  std::optional<Asked> next(int timeout_ms = 5000) {
    auto request = next_request(timeout_ms);
    if (request.empty()) return std::nullopt;
    Read read;
    EXPECT_TRUE(protocol::decode(bytes_of(request), read));
    return Asked{read.tag, read.offset, read.length, std::string(read.path), request.size()};
  }

  template <class Frame>
  void send(const Frame& frame) {
    std::vector<std::byte> body(2 * protocol::kChunkSize);
    std::size_t size = protocol::encode(std::span(body), frame);
    ASSERT_GT(size, 0u);
    send_message('d', {reinterpret_cast<const char*>(body.data()), size});
  }
  void send_message(char type, std::string_view body) {
    std::string message(1, type);
    put_size(message, body.size() + 4);
    message += body;
    for (std::string_view rest = message; !rest.empty();) {
      ssize_t sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void send_error(const std::string& sqlstate, const std::string& message, const std::string& hint) {
    auto end = std::string(1, '\0');
    send_message('E', "SFATAL" + end + "C" + sqlstate + end + "M" + message + end + "H" + hint + end + end);
  }

  void answer(const Asked& asked, std::string_view content, std::size_t frame = 100000) {
    std::string_view part;
    if (asked.offset < content.size()) part = content.substr(asked.offset, asked.length);
    for (std::size_t at = 0; at < part.size(); at += frame)
      send(data_of(asked, part.substr(at, frame), at));
    send(end_of(asked, part.size()));
  }
  static Data data_of(const Asked& asked, std::string_view plain, std::size_t at = 0) {
    Data data;
    data.tag = asked.tag;
    data.offset = asked.offset + at;
    data.plain_size = static_cast<std::uint32_t>(plain.size());
    data.crc = protocol::crc32c(bytes_of(plain));
    data.payload = bytes_of(plain);
    return data;
  }
  static RangeEnd end_of(const Asked& asked, std::size_t length) {
    RangeEnd end;
    end.tag = asked.tag;
    end.length = static_cast<std::uint32_t>(length);
    return end;
  }

  // Up to CopyBoth. False if the helper left.
  bool greet() {
    if (read_bytes(size_of(read_bytes(4)) - 4).empty()) return false;
    send_message('R', std::string_view("\0\0\0\0", 4));
    send_message('S', std::string_view("server_version\0" "15.0\0", 20));
    send_message('K', std::string_view("\0\0\x12\x67\0\0\0\0", 8));
    send_message('Z', "I");
    if (!read_message().starts_with('Q')) return false;
    send_message('W', std::string_view("\0\0\0", 3));
    return true;
  }

 private:
  static std::size_t size_of(std::string_view raw) {
    std::size_t size = 0;
    for (unsigned char byte : raw) size = size << 8 | byte;
    return raw.size() == 4 ? size : 4;
  }
  static void put_size(std::string& message, std::size_t size) {
    for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(size >> shift);
  }
  std::string read_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t have = 0; have < size;) {
      ssize_t got = recv(socket_, bytes.data() + have, size - have, 0);
      if (got <= 0) return {};
      have += static_cast<std::size_t>(got);
    }
    return bytes;
  }
  std::string read_message() {
    std::string head = read_bytes(5);
    return head.empty() ? head : head + read_bytes(size_of(head.substr(1)) - 4);
  }

  int socket_;
};

using Script = std::function<void(DonorSide&)>;

// The server: one connection, one script; then it closes.
class ListeningDonor {
 public:
  explicit ListeningDonor(Script script) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = scratch_ / ".s.PGSQL.5432";
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_.get(), 1) != 0)
      throw std::runtime_error("no listening socket");
    thread_ = std::thread([this, script = std::move(script)] {
      UniqueFd accepted(accept(listener_.get(), nullptr, nullptr));
      if (!accepted) return;
      DonorSide side(accepted.get());
      if (side.greet()) script(side);
    });
  }
  ~ListeningDonor() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  Donor reach() const {
    Donor donor;
    donor.connection = "host='" + scratch_.path() +
                       "' port=5432 user=u dbname=d sslmode=disable gssencmode=disable";
    donor.never_ask_password = true;
    return donor;
  }

 private:
  ScratchDirectory scratch_;
  UniqueFd listener_;
  std::thread thread_;
};

class StreamTest : public testing::Test {
 protected:
  explicit StreamTest(bool is_used = false) : opened_(open(scratch_.path(), is_used)) {}

  // A used one is that of an earlier run, which has left what it began.
  static std::unique_ptr<Target> open(const std::string& path, bool is_used) {
    TargetOptions options{path, {}, "", false};
    auto target = open_target(options);
    if (!is_used) return target;
    target->begin_session({});
    target.reset();
    return open_target(options);
  }
  void list(const std::vector<std::pair<std::string, std::uint64_t>>& files) {
    std::vector<std::byte> bytes(100 * files.size());
    protocol::Writer writer(bytes);
    for (const auto& [path, size] : files) {
      protocol::Entry entry;
      entry.mode = 0600;
      entry.size = size;
      entry.path = path;
      protocol::Entry::fields(writer, entry);
    }
    list_.add_batch({protocol::Bytes(bytes).first(writer.size())});
  }

  std::unique_ptr<Stream> connect(const ListeningDonor& donor) {
    auto connection =
        std::make_unique<Connection>(donor.reach(), Purpose::kDatabase, nullptr, stop_);
    connection->start_copy_both("CALL a_donor()", Kind::kPreflight);
    plan_ = std::make_unique<Plan>(list_);
    files_ = std::make_unique<ActiveFiles>(list_, target_, ManifestChecksums::kCrc32c, counters_);
    job_ = std::make_unique<CopyJob>(
        CopyJob{list_, *plan_, *files_, counters_, stop_,
                [this](const std::string& path, std::uint32_t count, std::uint32_t block) {
                  bad_pages_.push_back(path + " " + std::to_string(count) + " " + std::to_string(block));
                }});
    job_->receive_timeout = std::chrono::milliseconds(500);
    job_->donor_answers = [this] { return donor_answers_; };
    job_->compares = target_.is_used();
    job_->ways = &ways_;
    job_->report_unreliable = [this](std::string_view path) { unreliable_.emplace_back(path); };
    return std::make_unique<Stream>(std::move(connection), *job_);
  }
  void run(const Script& script) {
    ListeningDonor donor(script);
    connect(donor)->run();
  }
  // As run(), but it must fail, with no file finished.
  Failure failure_of(const Script& script) {
    try {
      run(script);
    } catch (const Failure& failure) {
      EXPECT_EQ(counters_.files_done, 0u);
      return failure;
    }
    ADD_FAILURE() << "it was taken";
    return Failure(Kind::kInternal, "");
  }
  std::string in_target(const std::string& path) { return target_.path() + "/" + path; }

  ScratchDirectory scratch_;
  std::unique_ptr<Target> opened_;
  Target& target_ = *opened_;
  StopSource stop_;
  FileList list_;
  CopyCounters counters_;
  Ways ways_;
  std::vector<std::string> unreliable_;
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<ActiveFiles> files_;
  std::unique_ptr<CopyJob> job_;
  bool donor_answers_ = false;  // elsewhere
  std::vector<std::string> bad_pages_;
};

TEST_F(StreamTest, copies_what_an_honest_donor_has) {
  std::map<std::string, std::string> files = {{"large", random_content(3 * protocol::kChunkSize + 77)},
                                              {"small", "15\n"},
                                              {"empty", ""}};
  list({{"large", files["large"].size()}, {"small", 3}, {"empty", 0}});
  run([&](DonorSide& side) {
    for (int request = 0; request < 6; ++request) {
      auto asked = side.next();
      ASSERT_TRUE(asked);
      side.answer(*asked, files[asked->path]);
    }
  });
  for (const auto& [path, content] : files)
    EXPECT_TRUE(content_of(in_target(path)) == content) << path;
  EXPECT_EQ(counters_.files_done, 3u);
  EXPECT_EQ(counters_.bytes_done, files["large"].size() + 3);
  EXPECT_GT(counters_.bytes_wire, counters_.bytes_done);
  EXPECT_TRUE(bad_pages_.empty());
}

TEST_F(StreamTest, takes_every_coding) {
  std::string plain = random_content(8192), zeros(8192, '\0'), packed(ZSTD_compressBound(8192), '\0');
  std::string compressible(8192, 'x');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), compressible.data(), 8192, 1));
  list({{"file", 3 * 8192}, {"zeros", 8192}});
  run([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    side.send(side.data_of(*asked, plain));
    Data data = side.data_of(*asked, zeros, 8192);
    data.coding = Coding::kZero;
    data.payload = {};
    side.send(data);
    data = side.data_of(*asked, compressible, 2 * 8192);
    data.coding = Coding::kZstd;
    data.payload = bytes_of(packed);
    side.send(data);
    side.send(side.end_of(*asked, 3 * 8192));
    asked = side.next();
    ASSERT_TRUE(asked);
    data = side.data_of(*asked, zeros);
    data.coding = Coding::kZero;
    data.payload = {};
    side.send(data);
    side.send(side.end_of(*asked, 8192));
  });
  EXPECT_TRUE(content_of(in_target("file")) == plain + zeros + compressible);
  EXPECT_TRUE(content_of(in_target("zeros")) == zeros);
  EXPECT_EQ(list_.files[0].crc, protocol::crc32c(bytes_of(plain + zeros + compressible)));
  EXPECT_EQ(list_.files[1].crc, protocol::crc32c(bytes_of(zeros)));
}

TEST_F(StreamTest, believes_that_a_file_is_shorter_or_gone) {
  list({{"shorter", 9000}, {"gone", 8000}});
  run([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    side.answer(*asked, "short");
    asked = side.next();
    ASSERT_TRUE(asked);
    RangeEnd end = side.end_of(*asked, 0);
    end.status = RangeStatus::kGone;
    side.send(end);
  });
  EXPECT_EQ(content_of(in_target("shorter")), "short");
  EXPECT_FALSE(std::filesystem::exists(in_target("gone")));
  EXPECT_TRUE(list_.files[1].is_gone);
}

TEST_F(StreamTest, gives_up_a_silent_connection_of_a_donor_that_answers_elsewhere) {
  donor_answers_ = true;
  list({{"base/5/1", 10}});
  Failure failure = failure_of([&](DonorSide& side) {
    ASSERT_TRUE(side.next());
    EXPECT_FALSE(side.next(30000));  // until the helper leaves
  });
  EXPECT_EQ(failure.kind, Kind::kLostDonor);
  EXPECT_NE(failure.message.find("nothing came of file \"base/5/1\""), std::string::npos)
      << failure.message;
}

TEST_F(StreamTest, waits_for_a_donor_that_is_silent_as_a_whole) {
  list({{"file", 10}});
  run([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    side.answer(*asked, "0123456789");
  });
  EXPECT_EQ(content_of(in_target("file")), "0123456789");
}

TEST_F(StreamTest, hears_between_other_frames_that_a_stream_lives) {
  list({{"file", 10}});
  run([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    side.send(protocol::Alive{});
    side.send(side.data_of(*asked, "01234"));
    side.send(protocol::Alive{});
    side.send(side.data_of(*asked, "56789", 5));
    side.send(protocol::Alive{});
    side.send(side.end_of(*asked, 10));
  });
  EXPECT_EQ(content_of(in_target("file")), "0123456789");
}

TEST_F(StreamTest, reports_pages_with_wrong_checksums) {
  list({{"base/5/1", 10}});
  std::filesystem::create_directories(in_target("base/5"));
  run([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    side.send(side.data_of(*asked, "0123456789"));
    RangeEnd end = side.end_of(*asked, 10);
    end.checksum_failures = 2;
    end.first_bad_block = 77;
    side.send(end);
  });
  EXPECT_EQ(bad_pages_, std::vector<std::string>{"base/5/1 2 77"});
  // Not written: a later run would find it equal and let it pass.
  EXPECT_EQ(content_of(in_target("base/5/1")), std::string(10, '\0'));
}

// Both directions must never wait for each other, and memory stays bounded.
TEST_F(StreamTest, asks_for_no_more_than_it_may) {
  std::vector<std::pair<std::string, std::uint64_t>> files = {{"large", 20 * protocol::kChunkSize}};
  for (int file = 0; file < 500; ++file) files.emplace_back("empty" + std::to_string(file), 0);
  list(files);
  std::size_t most_plain = 0, most_requests = 0;
  run([&](DonorSide& side) {
    std::deque<DonorSide::Asked> waiting;
    for (int answered = 0, round = 0; answered < 520 && round < 1000; ++round) {
      // Everything that comes while nothing is answered.
      while (auto asked = side.next(20)) waiting.push_back(*asked);
      std::size_t plain = 0, requests = 0;
      for (const auto& asked : waiting) {
        plain += asked.length;
        requests += asked.size;
      }
      most_plain = std::max(most_plain, plain);
      most_requests = std::max(most_requests, requests);
      for (; !waiting.empty(); waiting.pop_front(), ++answered) side.answer(waiting.front(), "");
    }
  });
  EXPECT_EQ(counters_.files_done, 501u);
  EXPECT_EQ(most_plain, protocol::kOutstandingPlainMax);
  EXPECT_LE(most_requests, protocol::kOutstandingRequestMax + protocol::kPathMax);
  EXPECT_GT(most_requests, protocol::kOutstandingRequestMax / 2);
}

TEST_F(StreamTest, stops_when_asked_to_though_the_donor_is_silent) {
  list({{"file", 10}});
  auto started = std::chrono::steady_clock::now();
  run([&](DonorSide& side) {
    side.next();
    stop_.request();
    side.next();
  });
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(3));
  EXPECT_EQ(counters_.files_done, 0u);
}

// --- donors that are not honest: one file of 10000 bytes is asked for ------------------

struct Lie {
  const char* name;
  std::function<void(DonorSide&, const DonorSide::Asked&, const std::string& content)> tell;
  const char* said;  // part of the failure's message
};

void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

// The honest frame with one thing changed.
template <class Change>
auto changed(Change change) {
  return [change](DonorSide& side, const DonorSide::Asked& asked, const std::string& content) {
    Data data = side.data_of(asked, content);
    change(data);
    side.send(data);
    side.send(side.end_of(asked, content.size()));
  };
}
template <class Change>
auto changed_end(Change change) {
  return [change](DonorSide& side, const DonorSide::Asked& asked, const std::string& content) {
    side.send(side.data_of(asked, content));
    RangeEnd end = side.end_of(asked, content.size());
    change(end);
    side.send(end);
  };
}
auto frame_instead(auto frame) {
  return [frame](DonorSide& side, const DonorSide::Asked&, const std::string&) { side.send(frame); };
}
auto bytes_instead(const std::string& bytes) {
  return [bytes](DonorSide& side, const DonorSide::Asked&, const std::string&) {
    side.send_message('d', bytes);
  };
}
// A zstd frame of `size` letters, said to be the content.
auto packed(std::size_t size) {
  return changed([size](Data& data) {
    static std::string payload;
    std::string letters(size, 'x');
    payload.assign(ZSTD_compressBound(size), '\0');
    payload.resize(ZSTD_compress(payload.data(), payload.size(), letters.data(), size, 1));
    data.coding = Coding::kZstd;
    data.payload = bytes_of(payload);
  });
}

class Liar : public StreamTest, public testing::WithParamInterface<Lie> {};

TEST_P(Liar, is_not_believed) {
  list({{"file", 10000}});
  std::string content = random_content(10000);
  Failure failure = failure_of([&](DonorSide& side) {
    auto asked = side.next();
    ASSERT_TRUE(asked);
    GetParam().tell(side, *asked, content);
    // What it says next does not make it true.
    side.next(0);
  });
  EXPECT_EQ(failure.kind, Kind::kCorrupted) << failure.message;
  EXPECT_NE(failure.message.find(GetParam().said), std::string::npos) << failure.message;
  EXPECT_FALSE(failure.hint.empty());
  EXPECT_TRUE(content_of(in_target("file")).empty());
}

const std::string kLarge = random_content(2 * protocol::kFramePlainMax, 5);

INSTANTIATE_TEST_SUITE_P(
    Lies, Liar,
    testing::Values(
        Lie{"tag", changed([](Data& data) { ++data.tag; }), "nobody asked for"},
        Lie{"offset", changed([](Data& data) { ++data.offset; }), "out of order"},
        Lie{"offset_before", changed([](Data& data) { data.offset -= 1; }), "out of order"},
        Lie{"nothing", changed([](Data& data) { data.plain_size = 0; data.payload = {}; }),
            "out of order"},
        Lie{"more_than_asked", changed([](Data& data) {
              data.plain_size = 10001;
              data.payload = bytes_of(kLarge).first(10001);
              data.crc = protocol::crc32c(data.payload);
            }), "out of order"},
        Lie{"more_than_a_frame", changed([](Data& data) {
              data.plain_size = protocol::kFramePlainMax + 1;
              data.payload = bytes_of(kLarge).first(data.plain_size);
              data.crc = protocol::crc32c(data.payload);
            }), "out of order"},
        Lie{"four_gigabytes", changed([](Data& data) { data.plain_size = UINT32_MAX; }), "out of order"},
        Lie{"zeros_of_four_gigabytes", changed([](Data& data) {
              data.plain_size = UINT32_MAX;
              data.coding = Coding::kZero;
              data.payload = {};
            }), "out of order"},
        Lie{"payload_short", changed([](Data& data) { data.payload = data.payload.first(9999); }),
            "another size"},
        Lie{"payload_long", changed([](Data& data) { data.payload = bytes_of(kLarge).first(10001); }),
            "another size"},
        Lie{"frame_too_long", changed([](Data& data) { data.payload = bytes_of(kLarge); }),
            "a message of"},
        Lie{"crc", changed([](Data& data) { data.crc ^= 1; }), "\"file\" at offset 0 was altered"},
        Lie{"other_bytes", changed([](Data& data) { data.payload = bytes_of(kLarge).first(10000); }),
            "was altered"},
        Lie{"coding", changed([](Data& data) { data.coding = static_cast<Coding>(3); }),
            "unknown coding"},
        Lie{"zeros_with_content", changed([](Data& data) { data.coding = Coding::kZero; }),
            "zeros with content"},
        Lie{"zeros_that_are_none", changed([](Data& data) {
              data.coding = Coding::kZero;
              data.payload = {};
            }), "was altered"},
        Lie{"no_zstd", changed([](Data& data) { data.coding = Coding::kZstd; }), "cannot be expanded"},
        Lie{"zstd_bomb", packed(1000000), "cannot be expanded"},
        Lie{"zstd_of_less", packed(9999), "cannot be expanded"},
        Lie{"zstd_of_other_bytes", packed(10000), "was altered"},
        Lie{"the_same_twice",
            [](DonorSide& side, const DonorSide::Asked& asked, const std::string& content) {
              Data data = side.data_of(asked, std::string_view(content).substr(0, 5000));
              side.send(data);
              side.send(data);
            }, "out of order"},
        Lie{"a_gap",
            [](DonorSide& side, const DonorSide::Asked& asked, const std::string& content) {
              side.send(side.data_of(asked, std::string_view(content).substr(0, 5000)));
              side.send(side.data_of(asked, std::string_view(content).substr(6000), 6000));
            }, "out of order"},
        Lie{"end_tag", changed_end([](RangeEnd& end) { ++end.tag; }), "nobody asked for"},
        Lie{"end_short", changed_end([](RangeEnd& end) { --end.length; }), "does not fit"},
        Lie{"end_long", changed_end([](RangeEnd& end) { ++end.length; }), "does not fit"},
        Lie{"end_status", changed_end([](RangeEnd& end) { end.status = static_cast<RangeStatus>(2); }),
            "does not fit"},
        Lie{"end_before_data",
            [](DonorSide& side, const DonorSide::Asked& asked, const std::string&) {
              side.send(side.end_of(asked, 10000));
            }, "does not fit"},
        Lie{"a_status", frame_instead(protocol::Status{}), "unknown kind"},
        Lie{"a_label", frame_instead(protocol::Label{}), "unknown kind"},
        Lie{"no_kind_of_ours", bytes_instead("\x63whatever"), "unknown kind"},
        Lie{"half_a_header", bytes_instead(std::string("\x05\0\x01\0\0\0", 6)), "malformed"},
        Lie{"an_end_too_long", bytes_instead("\x06" + std::string(30, '\0')), "malformed"},
        Lie{"an_early_end_of_copy",
            [](DonorSide& side, const DonorSide::Asked&, const std::string&) {
              side.send_message('c', "");
            }, "before all was sent"}),
    [](const testing::TestParamInfo<Lie>& info) { return std::string(info.param.name); });

TEST_F(StreamTest, keeps_the_donors_own_error_with_its_hint) {
  const std::pair<const char*, Kind> errors[] = {{"57P01", Kind::kLostDonor},
                                                 {"08006", Kind::kLostDonor},
                                                 {"XX001", Kind::kCorrupted},
                                                 {"55000", Kind::kDonorFailed}};
  list({{"file", 10}});
  for (const auto& [sqlstate, kind] : errors) {
    Failure failure = failure_of([&, code = sqlstate](DonorSide& side) {
      side.next();
      side.send_error(code, "the donor is unwell", "Wait.");
    });
    EXPECT_EQ(failure.kind, kind) << sqlstate;
    EXPECT_EQ(failure.message, "the donor is unwell");
    EXPECT_EQ(failure.hint, "Wait.");
  }
}

TEST_F(StreamTest, that_ends_in_the_middle_is_a_lost_donor) {
  list({{"file", 10000}});
  std::string content = random_content(10000);
  EXPECT_EQ(failure_of([&](DonorSide& side) {
              auto asked = side.next();
              ASSERT_TRUE(asked);
              side.send(side.data_of(*asked, std::string_view(content).substr(0, 5000)));
            }).kind,
            Kind::kLostDonor);
}

// --- the small file that is read into memory -------------------------------------------

class SmallFile : public StreamTest {
 protected:
  std::string read(const Script& script) {
    ListeningDonor donor(script);
    auto stream = connect(donor);
    return stream->read_small_file("global/pg_control", 100);
  }
  Kind kind_of(const std::function<void(DonorSide&, const DonorSide::Asked&)>& tell) {
    try {
      read([&](DonorSide& side) {
        auto asked = side.next();
        ASSERT_TRUE(asked);
        tell(side, *asked);
      });
    } catch (const Failure& failure) {
      return failure.kind;
    }
    ADD_FAILURE() << "it was taken";
    return Kind::kInternal;
  }
};

TEST_F(SmallFile, comes_whole_and_in_pieces) {
  std::string content = random_content(100);
  for (std::size_t frame : {100, 33})
    EXPECT_EQ(read([&](DonorSide& side) {
                auto asked = side.next();
                ASSERT_TRUE(asked);
                EXPECT_EQ(asked->path, "global/pg_control");
                EXPECT_EQ(asked->length, 100u);
                side.answer(*asked, content, frame);
              }),
              content);
}

TEST_F(SmallFile, longer_than_asked_for_is_not_taken) {
  std::string content = random_content(200);
  EXPECT_EQ(kind_of([&](DonorSide& side, const DonorSide::Asked& asked) {
              side.send(side.data_of(asked, std::string_view(content).substr(0, 100)));
              side.send(side.data_of(asked, std::string_view(content).substr(100), 100));
              side.send(side.end_of(asked, 200));
            }),
            Kind::kCorrupted);
}

TEST_F(SmallFile, altered_or_out_of_order_is_not_taken) {
  std::string content = random_content(100);
  auto told = [&](const std::function<void(Data&)>& change) {
    return kind_of([&](DonorSide& side, const DonorSide::Asked& asked) {
      Data data = side.data_of(asked, content);
      change(data);
      side.send(data);
      side.send(side.end_of(asked, 100));
    });
  };
  EXPECT_EQ(told([](Data& data) { data.crc ^= 1; }), Kind::kCorrupted);
  EXPECT_EQ(told([](Data& data) { data.tag ^= 1; }), Kind::kCorrupted);
  EXPECT_EQ(told([](Data& data) { data.offset = 1; }), Kind::kCorrupted);
  EXPECT_EQ(told([](Data& data) { data.payload = data.payload.first(99); }), Kind::kCorrupted);
  EXPECT_EQ(told([](Data& data) { data.coding = Coding::kZstd; }), Kind::kCorrupted);
  EXPECT_EQ(kind_of([&](DonorSide& side, const DonorSide::Asked& asked) {
              side.send(side.data_of(asked, content));
              side.send(side.end_of(asked, 99));
            }),
            Kind::kCorrupted);
}

// --- what is here already ---------------------------------------------------------------

constexpr std::size_t kPage = 8192, kPagesOfChunk = protocol::kChunkSize / kPage;

class ChangesTest : public StreamTest {
 protected:
  ChangesTest() : StreamTest(true) {}

  // The file as it is here, and on the donor.
  void have(const std::string& here, std::string donors) {
    target_.write_file("file", here);
    list({{"file", donors.size()}});
    ways_.files.resize(1);
    ways_.files[0].here = here.size() / kPage * kPage;
    theirs_ = std::move(donors);
  }
  static void change(std::string& content, std::size_t page) { content[page * kPage + 100] ^= 1; }

  // Answers what is read; returns the pages, numbered within the file.
  void serve(DonorSide& side, std::size_t requests) {
    for (; requests > 0; --requests) {
      auto asked = side.next();
      ASSERT_TRUE(asked);
      for (std::uint64_t at = asked->offset; at < asked->offset + asked->length; at += kPage)
        read_.push_back(at / kPage);
      side.answer(*asked, theirs_);
    }
    EXPECT_EQ(side.next_request(), "") << "no more is asked for";
  }
  // Of the request for what is newer: these pages are.
  void answer_newer(DonorSide& side, std::vector<std::size_t> pages, std::uint32_t length, bool is_unreliable = false) {
    protocol::NewerPages asked;
    std::string request = side.next_request();
    ASSERT_TRUE(protocol::decode(bytes_of(request), asked));
    EXPECT_EQ(asked.since, ways_.since);
    EXPECT_EQ(asked.path, "file");
    std::string bits((length / kPage + 7) / 8, '\0');
    for (std::size_t page : pages) bits[page / 8] = static_cast<char>(bits[page / 8] | 1 << page % 8);
    protocol::NewerDigest digest;
    digest.tag = asked.tag;
    digest.length = length;
    digest.is_unreliable = is_unreliable;
    if (!is_unreliable) digest.newer = bytes_of(bits);
    side.send(digest);
  }
  void expect_theirs() {
    EXPECT_TRUE(content_of(in_target("file")) == theirs_);
    EXPECT_EQ(counters_.files_done, 1u);
    EXPECT_EQ(counters_.bytes_done, theirs_.size());
    EXPECT_EQ(list_.files[0].size, theirs_.size());
  }

  std::string theirs_;
  std::vector<std::size_t> read_;
};

TEST_F(ChangesTest, only_listed_blocks_come) {
  std::string here = random_content(3 * protocol::kChunkSize), donors = here;
  for (std::size_t page : {0, 130, 131, 383}) change(donors, page);
  have(here, donors);
  ways_.files[0].way = Way::kListed;
  ways_.files[0].blocks = {{0, 1}, {130, 2}, {383, 1}};
  run([&](DonorSide& side) { serve(side, 3); });
  expect_theirs();
  EXPECT_EQ(read_, (std::vector<std::size_t>{0, 130, 131, 383}));
  EXPECT_EQ(counters_.bytes_kept, donors.size() - 4 * kPage);
  EXPECT_FALSE(list_.files[0].has_crc);
}

TEST_F(ChangesTest, of_a_file_with_nothing_listed_nothing_is_asked) {
  std::string here = random_content(2 * protocol::kChunkSize + 3 * kPage);
  have(here, here);
  ways_.files[0].way = Way::kListed;
  run([&](DonorSide& side) { serve(side, 0); });
  expect_theirs();
  EXPECT_EQ(counters_.bytes_kept, here.size());
}

TEST_F(ChangesTest, what_is_not_here_comes_whatever_is_listed) {
  std::string donors = random_content(2 * protocol::kChunkSize + 2 * kPage);
  std::string here = donors.substr(0, 120 * kPage + 77);  // a page that was torn at the end counts as none
  have(here, donors);
  ways_.files[0].way = Way::kListed;
  run([&](DonorSide& side) { serve(side, 3); });
  expect_theirs();
  EXPECT_EQ(read_.size(), 2 * kPagesOfChunk + 2 - 120);
}

TEST_F(ChangesTest, a_file_that_is_longer_here_is_cut) {
  std::string here = random_content(2 * protocol::kChunkSize), donors = here.substr(0, 5 * kPage);
  change(donors, 3);
  have(here, donors);
  ways_.files[0].way = Way::kListed;
  ways_.files[0].blocks = {{3, 1}, {5, 1000}};
  run([&](DonorSide& side) { serve(side, 1); });
  expect_theirs();
}

// What stays of it would be zeros.
TEST_F(ChangesTest, a_file_that_vanishes_when_it_was_looked_at_ends_the_clone) {
  std::string here = random_content(3 * protocol::kChunkSize), donors = here;
  change(donors, 130);
  have(here, donors);
  ways_.files[0].way = Way::kListed;
  ways_.files[0].blocks = {{130, 1}};
  std::filesystem::remove(in_target("file"));
  Failure failure = failure_of([&](DonorSide& side) { serve(side, 1); });
  EXPECT_EQ(failure.kind, Kind::kTargetRefused);
  EXPECT_FALSE(std::filesystem::exists(in_target("file"))) << "no later run may trust it";
}

TEST_F(ChangesTest, a_chunk_that_came_as_a_whole_has_its_crc) {
  std::string here = random_content(10 * kPage), donors = random_content(10 * kPage, 5);
  have(here, donors);
  ways_.files[0].way = Way::kListed;
  ways_.files[0].blocks = {{0, 10}};
  run([&](DonorSide& side) { serve(side, 1); });
  expect_theirs();
  EXPECT_TRUE(list_.files[0].has_crc);
  EXPECT_EQ(list_.files[0].crc, protocol::crc32c(bytes_of(donors)));
}

TEST_F(ChangesTest, only_pages_come_that_the_donor_finds_newer) {
  std::string here = random_content(2 * protocol::kChunkSize), donors = here;
  for (std::size_t page : {7, 200}) change(donors, page);
  have(here, donors);
  ways_.files[0].way = Way::kNewer;
  ways_.since = 0x1234567890;
  run([&](DonorSide& side) {
    answer_newer(side, {7, 200}, static_cast<std::uint32_t>(donors.size()));
    serve(side, 2);
  });
  expect_theirs();
  EXPECT_EQ(read_, (std::vector<std::size_t>{7, 200}));
}

TEST_F(ChangesTest, a_file_that_the_donor_cut_meanwhile_is_cut) {
  std::string here = random_content(2 * protocol::kChunkSize);
  have(here, here);
  ways_.files[0].way = Way::kNewer;
  run([&](DonorSide& side) {
    answer_newer(side, {}, 5 * kPage);
    serve(side, 0);
  });
  EXPECT_TRUE(content_of(in_target("file")) == here.substr(0, 5 * kPage));
  EXPECT_EQ(counters_.files_done, 1u);
}

TEST_F(ChangesTest, a_file_whose_pages_tell_nothing_is_compared) {
  std::string here = random_content(2 * kPage);
  have(here, here);
  ways_.files[0].way = Way::kNewer;
  run([&](DonorSide& side) {
    answer_newer(side, {}, 0, true);
    protocol::Compare asked;
    std::string request = side.next_request();
    ASSERT_TRUE(protocol::decode(bytes_of(request), asked));
    protocol::Digest digest;
    digest.tag = asked.tag;
    digest.file_size = here.size();
    std::string same(1, '\0');
    digest.differs = bytes_of(same);
    side.send(digest);
    serve(side, 0);
  });
  expect_theirs();
  EXPECT_EQ(unreliable_, (std::vector<std::string>{"file"}));
  EXPECT_TRUE(list_.files[0].has_crc);
}

TEST_F(ChangesTest, positions_of_other_pages_are_not_believed) {
  have(random_content(4 * kPage), random_content(4 * kPage));
  ways_.files[0].way = Way::kNewer;
  Failure failure = failure_of([&](DonorSide& side) { answer_newer(side, {}, 5 * kPage); });
  EXPECT_EQ(failure.kind, Kind::kCorrupted);
}

}  // namespace
}  // namespace standby_clone
