// channel.h: the backend's end of one CopyBoth connection. It never blocks inside
// the server's communication functions (traps 73 and 74): output goes through
// pq_putmessage_noblock and pq_flush_if_writable, as a walsender's does, and input
// is read as far as it has come and put together here. Every wait is a wait on the
// latch and the socket of at most a second, with interrupts looked at.
#pragma once

#include "extension/pg/server.h"
#include "extension/session/shared.h"
#include "protocol/wire.h"

namespace sender {

struct Channel {
  // Bytes received and not yet taken: [begin, end) of buffer.
  char* buffer;
  std::size_t begin, end;
  bool copy_done;  // the helper has sent CopyDone
};

// Sends CopyBothResponse. Memory lives in TopMemoryContext, one channel a backend.
void open_channel(Channel& channel);

// Takes the next request if it has come whole. False if not. At the helper's end of
// file the process ends. An ERROR on anything but CopyData and CopyDone.
bool take_request(Channel& channel, protocol::Bytes& request);

// Has a request come whole?
bool has_request(Channel& channel);

// The request that take_request() would take, if it has come whole; what was taken before
// is overwritten.
bool peek_request(Channel& channel, protocol::Bytes& request);

// Queues one frame and sends what the socket takes.
void send_frame(const void* frame, std::size_t size);

// Milliseconds since send_frame() was called last.
std::uint64_t silent_ms();

template <class Message>
void send_message(const Message& message);

// Waits for input, room for queued output, the latch, or the time. Looks at
// interrupts before it returns. The request that was taken last stays as it is.
void wait_channel(Channel& channel, long timeout_ms);

// Looks at interrupts. A backend that is told to end while its client does not
// read drops its output first, so that nothing can hold it up (trap 74).
void check_interrupts();

// Sends what the client takes within two seconds; then, or when this backend shall
// end, turns output off.
void settle_output();

// Ends the conversation after the helper's CopyDone.
void close_channel();

// The scratch buffer of all frames but data frames.
inline constexpr std::size_t kScratchSize = protocol::kFrameMax;
std::byte* scratch();

template <class Message>
void send_message(const Message& message) {
  std::size_t size = protocol::encode(std::span(scratch(), kScratchSize), message);
  if (size == 0) elog(ERROR, "a frame of the clone does not fit its buffer");
  send_frame(scratch(), size);
}

}  // namespace sender
