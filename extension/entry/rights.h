// rights.h: who may do what the program on the standby host does.
#pragma once

#include "extension/pg/server.h"

namespace entry {

// What BASE_BACKUP wants: the REPLICATION attribute, or superuser. `what` completes
// "role ... may not".
inline void require_replication(const char* what) {
  if (superuser() || has_rolreplication(GetUserId())) return;
  const char* role = GetUserNameFromId(GetUserId(), false);
  ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
          errmsg("role \"%s\" may not %s", role, what),
          errhint("Grant it with ALTER ROLE %s REPLICATION.", quote_identifier(role)));
}

// Requests live in a table: they are made, taken and refused on a primary.
inline void require_primary(const char* what) {
  if (!RecoveryInProgress()) return;
  ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
          errmsg("%s during recovery", what),
          errhint("Connect to the primary. From this standby, clones are made with the "
                  "pg_standby_clone program alone."));
}

}  // namespace entry
