// serve.h: one connection of a helper, from its Hello to its end.
#pragma once

#include "extension/pg/server.h"

namespace sender {

// What the catalogue says, looked up before the snapshot is given up (trap 80).
struct Place {
  Oid id_sequence;
  Oid table;  // clone_records
};

// Takes the connection into CopyBoth and answers requests until the helper sends
// CopyDone. Leaves by FATAL on any error: half-read requests cannot be followed by
// ordinary queries. Needs: no snapshot, rights checked, a transaction.
void serve(const Place& place);

}  // namespace sender
