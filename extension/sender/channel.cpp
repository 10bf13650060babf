// channel.cpp: CopyBoth without ever blocking.
#include "extension/sender/channel.h"

#include "extension/pg/compat.h"
#include "extension/pg/insides.h"

namespace sender {
namespace {

// A message is its type, a length that counts itself, and the body.
constexpr std::size_t kHeaderSize = 5;
constexpr std::size_t kBufferSize = 2 * (protocol::kRequestMax + kHeaderSize);

std::uint64_t sent_ms = 0;

bool socket_is_writable() {
  pollfd descriptor{MyProcPort->sock, POLLOUT, 0};
  return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLOUT) != 0;
}

[[noreturn]] void leave_quietly() {
  // Nobody is left to read a message; what this connection meant to the clone is
  // cleaned up by the exit callbacks.
  whereToSendOutput = DestNone;
  proc_exit(0);
}

// Gives the room of what has been taken to what is to come.
void close_up(Channel& channel) {
  if (channel.begin == 0) return;
  std::memmove(channel.buffer, channel.buffer + channel.begin, channel.end - channel.begin);
  channel.end -= channel.begin;
  channel.begin = 0;
}

// Reads what has come, as far as there is room; true if there was something.
bool receive(Channel& channel) {
  if (channel.end == kBufferSize) return false;
  bool was_noblock = MyProcPort->noblock;
  MyProcPort->noblock = true;
  ssize_t got =
      secure_read(MyProcPort, channel.buffer + channel.end, kBufferSize - channel.end);
  int error = errno;
  MyProcPort->noblock = was_noblock;
  if (got > 0) {
    channel.end += got;
    return true;
  }
  if (got < 0 && (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)) return false;
  leave_quietly();
}

std::uint32_t length_at(const char* header) {
  std::uint32_t length;
  std::memcpy(&length, header, sizeof(length));
  return pg_ntoh32(length);
}

// Size of the message at the front, header included; 0 if it has not come whole.
std::size_t whole_message(const Channel& channel) {
  std::size_t have = channel.end - channel.begin;
  if (have < kHeaderSize) return 0;
  const char* header = channel.buffer + channel.begin;
  std::uint32_t length = length_at(header + 1);
  if (length < 4 || length > protocol::kRequestMax + 4)
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("a request of %u bytes is not one of a clone's helper", length));
  return have < length + 1 ? 0 : length + 1;
}

}  // namespace

std::byte* scratch() {
  static std::byte* buffer = nullptr;
  if (buffer == nullptr)
    buffer = static_cast<std::byte*>(MemoryContextAlloc(TopMemoryContext, kScratchSize));
  return buffer;
}

void open_channel(Channel& channel) {
  channel = {};
  channel.buffer = static_cast<char*>(MemoryContextAlloc(TopMemoryContext, kBufferSize));
  StringInfoData message;
  pq_beginmessage(&message, 'W');  // CopyBothResponse: text format, no columns
  pq_sendbyte(&message, 0);
  pq_sendint16(&message, 0);
  pq_endmessage(&message);
  if (pq_flush_if_writable() != 0) leave_quietly();
}

bool has_request(Channel& channel) {
  if (whole_message(channel) > 0) return true;
  close_up(channel);
  while (receive(channel))
    if (whole_message(channel) > 0) return true;
  return false;
}

bool peek_request(Channel& channel, protocol::Bytes& request) {
  if (channel.copy_done || !has_request(channel)) return false;
  const char* message = channel.buffer + channel.begin;
  if (message[0] != 'd') return false;
  request = std::as_bytes(std::span(message + kHeaderSize, whole_message(channel) - kHeaderSize));
  return true;
}

bool take_request(Channel& channel, protocol::Bytes& request) {
  if (channel.copy_done || !has_request(channel)) return false;
  std::size_t size = whole_message(channel);
  const char* message = channel.buffer + channel.begin;
  channel.begin += size;
  switch (message[0]) {
    case 'd':
      request = std::as_bytes(std::span(message + kHeaderSize, size - kHeaderSize));
      return true;
    case 'c':
      channel.copy_done = true;
      // A helper that has all it wants may close the connection in the same breath.
      if (channel.begin != channel.end && channel.buffer[channel.begin] == 'X') leave_quietly();
      if (channel.begin != channel.end)
        ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
                errmsg("the clone's helper sent more after its end of copy"));
      return false;
    case 'X':
      leave_quietly();
    default:
      ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
              errmsg("unexpected message type 0x%02X from a clone's helper", message[0]));
  }
  return false;
}

std::uint64_t silent_ms() { return session::monotonic_ms() - sent_ms; }

void send_frame(const void* frame, std::size_t size) {
  sent_ms = session::monotonic_ms();
  pq_putmessage_noblock('d', static_cast<const char*>(frame), size);
  if (pq_flush_if_writable() != 0) leave_quietly();
}

void check_interrupts() {
  // Whatever ends this backend says so first: a SIGTERM, and from 16 on a conflict with recovery, of which
  // no flag is to be seen from here. Who does not read does not hear it.
  if (InterruptPending) {
    bool is_heard = !pq_is_send_pending() && socket_is_writable();
    if (!is_heard) whereToSendOutput = DestNone;
    CHECK_FOR_INTERRUPTS();
    whereToSendOutput = DestRemote;
  }
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
}

void wait_channel(Channel& channel, long timeout_ms) {
  static const std::uint32_t event = compat::wait_event("StandbyCloneStream");
  check_interrupts();
  if (pq_is_send_pending()) {
    if (pq_flush_if_writable() != 0) leave_quietly();
    if (!pq_is_send_pending()) return;  // what the caller waits for has happened
  }
  // Requests that came meanwhile would end this wait and each that follows at once: a stream that
  // waits for its rate or its helper would use a whole processor.
  if (receive(channel)) return;
  // No snapshot stays behind while nothing is done (trap 80).
  InvalidateCatalogSnapshot();
  std::uint32_t events = (channel.end < kBufferSize ? WL_SOCKET_READABLE : 0) |
                         (pq_is_send_pending() ? WL_SOCKET_WRITEABLE : 0);
  if (events == 0) events = WL_SOCKET_CLOSED;
  std::uint32_t occurred = pg::wait_for_client(events, Min(timeout_ms, 1000L), event);
  if ((occurred & WL_POSTMASTER_DEATH) != 0) proc_exit(1);
  if ((occurred & WL_SOCKET_CLOSED) != 0) leave_quietly();
  ResetLatch(MyLatch);
  check_interrupts();
  if (pq_is_send_pending() && pq_flush_if_writable() != 0) leave_quietly();
}

void settle_output() {
  whereToSendOutput = DestRemote;  // an interrupt may have left it off
  std::uint64_t deadline = session::monotonic_ms() + 2000;
  // The message that follows needs room, too.
  while ((pq_is_send_pending() || !socket_is_writable()) && !ProcDiePending &&
         session::monotonic_ms() < deadline) {
    if (pq_is_send_pending() && pq_flush_if_writable() != 0) break;
    WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_WRITEABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                      MyProcPort->sock, 100, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
  if (pq_is_send_pending() || !socket_is_writable()) whereToSendOutput = DestNone;
}

void close_channel() {
  pq_putmessage_noblock('c', nullptr, 0);
  if (pq_flush_if_writable() != 0) leave_quietly();
}

}  // namespace sender
