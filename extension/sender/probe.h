// probe.h: is a directory that a helper is about to write to one of this server's own?
#pragma once

#include "extension/pg/server.h"
#include "protocol/request.h"

namespace sender {

// Answers on the connection.
void answer_probe(const protocol::Probe& request);

}  // namespace sender
