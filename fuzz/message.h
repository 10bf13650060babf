// message.h: a message of either direction, from any bytes.
#pragma once

#include <algorithm>
#include <vector>

#include "fuzz/target.h"
#include "protocol/wire.h"

// What decodes is spelled in one way only: encoding it again gives the same bytes.
template <class Message>
void try_as(protocol::Bytes bytes) {
  Message message;
  if (!protocol::decode(bytes, message)) return;
  std::vector<std::byte> again(bytes.size() + 16);
  std::size_t size = protocol::encode(again, message);
  require(size == bytes.size() && std::equal(bytes.begin(), bytes.end(), again.begin()));
}
