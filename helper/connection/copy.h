// copy.h: the content of one CopyData message.
#pragma once

#include <cstddef>
#include <memory>

#include "protocol/frame.h"

namespace standby_clone {

// Good until the next one is asked for.
class Message {
 public:
  explicit Message(protocol::Bytes bytes) : bytes_(bytes) {}
  // As libpq hands it over.
  Message(char* data, std::size_t size)
      : owned_(data), bytes_(reinterpret_cast<const std::byte*>(data), size) {}
  protocol::Bytes bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Free> owned_;
  protocol::Bytes bytes_;
};

}  // namespace standby_clone
