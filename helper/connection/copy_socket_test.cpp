// copy_socket_test.cpp: the server's end of the socket, played by hand.
#include "helper/connection/copy_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "helper/base/failure.h"
#include "helper/base/unique_fd.h"

namespace standby_clone {
namespace {

using Got = CopySocket::Got;

std::string message(char kind, const std::string& content) {
  std::size_t length = content.size() + 4;
  std::string text(1, kind);
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(length >> shift);
  return text + content;
}

struct Wire {
  UniqueFd ours, server;
  CopySocket socket;

  Wire() : Wire(make()) {}
  explicit Wire(std::pair<int, int> ends)
      : ours(ends.first), server(ends.second), socket(ends.first) {}

  static std::pair<int, int> make() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return {ends[0], ends[1]};
  }

  void come(const std::string& bytes) {
    ASSERT_EQ(write(server.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // The next message's content, or what there is instead of one.
  std::string next() {
    protocol::Bytes content;
    Got got = socket.receive(content);
    if (got == Got::kNothing) return "(nothing)";
    if (got == Got::kForLibpq) return "(for libpq)";
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
  // What lies in the socket for libpq.
  std::string rest() {
    char buffer[100];
    ssize_t got = recv(ours.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    return {buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  std::string sent() {
    std::string bytes(1 << 20, '\0');
    ssize_t got = recv(server.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return bytes.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
};

protocol::Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(CopySocket, nothing_has_come) {
  Wire wire;
  EXPECT_EQ(wire.next(), "(nothing)");
}

TEST(CopySocket, small_messages_that_came_at_once) {
  Wire wire;
  wire.come(message('d', "one") + message('d', "") + message('d', "three"));
  EXPECT_EQ(wire.next(), "one");
  EXPECT_EQ(wire.next(), "");
  EXPECT_EQ(wire.next(), "three");
  EXPECT_EQ(wire.next(), "(nothing)");
}

TEST(CopySocket, each_byte_alone) {
  Wire wire;
  for (char byte : message('d', "slow")) {
    EXPECT_EQ(wire.next(), "(nothing)");
    wire.come({byte});
  }
  EXPECT_EQ(wire.next(), "slow");
}

TEST(CopySocket, the_longest_message_behind_small_ones_and_cut_anywhere) {
  std::string longest(protocol::kFrameMax, '\0');
  for (std::size_t at = 0; at < longest.size(); ++at) longest[at] = static_cast<char>(at * 31 >> 3);
  std::string stream = message('d', "before") + message('d', longest) + message('d', "after");
  for (std::size_t cut : {1ul, 11ul, 12ul, 15ul, 16ul, 17ul, 4095ul, 4096ul, 70000ul,
                          stream.size() - 11, stream.size() - 7}) {
    Wire wire;
    wire.come(stream.substr(0, cut));
    std::vector<std::string> got;
    for (std::string text; (text = wire.next()) != "(nothing)";) got.push_back(text);
    wire.come(stream.substr(cut));
    for (std::string text; (text = wire.next()) != "(nothing)";) got.push_back(text);
    ASSERT_EQ(got.size(), 3u) << cut;
    EXPECT_EQ(got[0], "before");
    EXPECT_TRUE(got[1] == longest) << cut;
    EXPECT_EQ(got[2], "after");
  }
}

TEST(CopySocket, another_kind_of_message_stays_in_the_socket) {
  Wire wire;
  std::string error = message('E', "SFATAL");
  wire.come(message('d', "data") + error + message('d', "behind it"));
  EXPECT_EQ(wire.next(), "data");
  EXPECT_EQ(wire.next(), "(for libpq)");
  EXPECT_EQ(wire.rest(), error + message('d', "behind it"));
}

TEST(CopySocket, the_end_is_for_libpq) {
  Wire wire;
  wire.come(message('d', "last"));
  wire.server.reset();
  EXPECT_EQ(wire.next(), "last");
  EXPECT_EQ(wire.next(), "(for libpq)");
}

TEST(CopySocket, an_end_within_a_message_is_for_libpq) {
  Wire wire;
  wire.come(message('d', "never whole").substr(0, 9));
  EXPECT_EQ(wire.next(), "(nothing)");
  wire.server.reset();
  EXPECT_EQ(wire.next(), "(for libpq)");
}

TEST(CopySocket, a_length_that_no_message_has_is_corruption) {
  for (std::uint32_t length : {0u, 3u, protocol::kFrameMax + 5, 0x7fffffffu, 0xffffffffu}) {
    Wire wire;
    std::string header = "d";
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(length >> shift);
    wire.come(header);
    try {
      wire.next();
      ADD_FAILURE() << length;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.kind, Kind::kCorrupted);
    }
  }
}

TEST(CopySocket, what_is_queued_goes_with_the_flush) {
  Wire wire;
  wire.socket.queue(bytes_of("ask"));
  wire.socket.queue(bytes_of("more"));
  EXPECT_EQ(wire.sent(), "");
  EXPECT_TRUE(wire.socket.flush());
  wire.socket.queue_end();
  EXPECT_TRUE(wire.socket.flush());
  EXPECT_EQ(wire.sent(), message('d', "ask") + message('d', "more") + message('c', ""));
}

TEST(CopySocket, a_full_socket_takes_the_rest_later) {
  Wire wire;
  std::string request(protocol::kRequestMax, 'r');
  std::string all;
  do {
    wire.socket.queue(bytes_of(request));
    all += message('d', request);
  } while (wire.socket.flush() && all.size() < (64u << 20));
  ASSERT_LT(all.size(), 64u << 20) << "the socket never filled";
  std::string arrived;
  for (bool is_done = false; !is_done || arrived.size() < all.size();) {
    std::string part = wire.sent();
    arrived += part;
    is_done = wire.socket.flush();
    ASSERT_TRUE(is_done || !part.empty());
  }
  EXPECT_TRUE(arrived == all);
}

TEST(CopySocket, a_broken_connection_is_met_by_who_receives) {
  Wire wire;
  wire.server.reset();
  wire.socket.queue(bytes_of("into the void"));
  EXPECT_TRUE(wire.socket.flush());
  EXPECT_EQ(wire.next(), "(for libpq)");
}

}  // namespace
}  // namespace standby_clone
