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
  bool is_control;            // welcomed as such
  Oid records;  // clone_records; InvalidOid where an older version's script made the objects
};

// The helper's last word, or what the control connection met that no other connection would be spared: the clone
// frees what it holds at once, not when its lease is over. The first such end counts.
void end_clone(const session::Handle& session, protocol::State outcome, const char* error);

void serve_control(Connection& connection, const protocol::Hello& hello);

}  // namespace sender
