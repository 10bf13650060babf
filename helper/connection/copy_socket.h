// copy_socket.h: CopyData messages straight from and to the socket that libpq has connected.
// libpq would copy each byte twice more, which took as much as all else a stream does with it.
#pragma once

#include <cstddef>
#include <vector>

#include "protocol/frame.h"

namespace standby_clone {

// The format: PostgreSQL's documentation, "Message Formats". One thread at a time.
class CopySocket {
 public:
  enum class Got {
    kMessage,
    kNothing,   // yet
    kForLibpq,  // the socket begins with another kind of message, with its end or an error
  };

  // `fd` is in CopyBoth, and stays libpq's to close; nobody has read the beginning of a message
  // from it.
  explicit CopySocket(int fd);

  // The content of the next CopyData message, good until the next call. Does not wait. Never
  // takes a byte that is no CopyData from the socket. Fails with kCorrupted when a message is
  // longer than kFrameMax.
  Got receive(protocol::Bytes& message);

  // Queues a CopyData message.
  void queue(protocol::Bytes message);
  // Queues the end of the copy.
  void queue_end();
  // Sends what goes without waiting. True once nothing is left. What a broken connection does not
  // take is dropped: the reason is what receive() comes to.
  bool flush();

 private:
  std::size_t available() const { return end_ - begin_; }
  std::size_t wanted() const;
  Got fill(std::size_t size);
  Got begin_message();

  int fd_;
  std::vector<std::byte> input_;
  std::size_t begin_ = 0, end_ = 0;  // received and not handed out
  std::vector<std::byte> output_;
  std::size_t sent_ = 0;             // of the output
};

}  // namespace standby_clone
