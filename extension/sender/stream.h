// stream.h: one stream of a clone: reads what it is asked for.
#pragma once

#include "extension/sender/control.h"

namespace sender {

void serve_stream(Connection& connection, const protocol::Hello& hello);

}  // namespace sender
