// control.h: the control connection of a clone: begins it, lists its files, keeps
// its lease, ends it.
#pragma once

#include "extension/sender/channel.h"
#include "extension/session/shared.h"
#include "protocol/request.h"

namespace sender {

// What one connection of a helper is.
struct Connection {
  Channel channel;
  session::Handle session;
  session::StreamSlot* slot;  // NULL on a control connection
  Oid records;  // clone_records; InvalidOid where an older version's script made the objects
};

void serve_control(Connection& connection, const protocol::Hello& hello);

}  // namespace sender
