// order.cpp: the refusal of what is out of order.
#include "extension/session/order.h"

#include "extension/pg/server.h"

namespace session {

void require(Stage stage, RequestKind kind) {
  if (may_ask(stage, kind)) return;
  ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
          errmsg("unexpected request from a clone's helper: %s, but %s", name_of(kind), row_of(stage).sentence));
}

}  // namespace session
