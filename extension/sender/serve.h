// serve.h: one connection of a helper, from its Hello to its end.
#pragma once

#include "extension/pg/server.h"

namespace sender {

// Takes the connection into CopyBoth and answers requests until the helper sends
// CopyDone. Leaves by FATAL on any error: half-read requests cannot be followed by
// ordinary queries. Needs: no snapshot, rights checked, a transaction. `records` is clone_records,
// looked up before the snapshot was given up (trap 80).
void serve(Oid records);

}  // namespace sender
