// limits.h: every number that both sides must agree on, with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace protocol {

// A chunk is the unit of planning, hashing and retry: whole pages, one file.
inline constexpr std::uint32_t kChunkSize = 1024 * 1024;

// What a page hash stands for: PostgreSQL's block size as nearly everybody has it. With another
// one a page of ours is only more or less than a block.
inline constexpr std::uint32_t kHashPageSize = 8192;

// Plain bytes in one data frame. Four frames make a chunk; a frame fits a
// second-level cache, so that checking and copying it touch memory once.
inline constexpr std::uint32_t kFramePlainMax = 128 * 1024;

// A compressed frame is only sent when it is smaller than the plain bytes, so
// kFramePlainMax bounds the payload too. Lists and labels keep to the same.
inline constexpr std::uint32_t kFrameMax = kFramePlainMax + 1024;

// WAL that one hash may stand for: read in a moment, without a look at anything else.
inline constexpr std::uint64_t kWalHashMax = 16 * 1024 * 1024;

// What one request asks the positions of: two thousand pages, an answer of 256 bytes.
inline constexpr std::uint32_t kNewerPagesMax = 16 * kChunkSize;

// A request: a path, a few numbers, or the hashes of the chunks of one file
// range (16 bytes each). Small, so that requests always fit the socket buffers
// and the two directions can never wait for each other.
inline constexpr std::uint32_t kRequestMax = 16 * 1024;

// PostgreSQL's MAXPGPATH, terminating zero included.
inline constexpr std::uint32_t kPathMax = 1024;

// Plain bytes (and bytes of requests) a helper may have asked for on one stream
// and not yet received. Bounds the memory of both sides.
inline constexpr std::uint32_t kOutstandingPlainMax = 2 * 1024 * 1024;
inline constexpr std::uint32_t kOutstandingRequestMax = 8 * 1024;

// Streams of one clone, the control connection not counted.
inline constexpr std::uint16_t kStreamsMax = 64;

// NAMEDATALEN with its zero: targets and slots.
inline constexpr std::uint32_t kNameMax = 64;

// Free texts that travel: labels (PostgreSQL's MAXPGPATH), paths shown to
// people, error texts.
inline constexpr std::uint32_t kTextMax = 1024;

// Names of probe files begin with it.
inline constexpr char kProbePrefix[] = "pg_standby_clone.probe.";

inline constexpr std::size_t kTokenSize = 16;
inline constexpr std::size_t kChunkHashSize = 16;  // XXH3-128
inline constexpr std::size_t kPageHashSize = 8;    // XXH3-64

// The helper's heartbeat on the control connection; the donor's lease is
// measured from the last one.
inline constexpr int kHeartbeatIntervalMs = 5000;

// Three of them missed: to each side the other is away. The connection may look alive for
// hours yet.
inline constexpr int kSilenceMs = 3 * kHeartbeatIntervalMs;

// A donor's stream that owes an answer and waits on purpose says at least this often that it
// lives, give or take the second that its waits last.
inline constexpr int kAliveIntervalMs = 1000;

// A helper that is less patient would give up streams that only wait.
inline constexpr int kReceiveTimeoutMinMs = 5 * kAliveIntervalMs;

}  // namespace protocol
