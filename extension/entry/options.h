// options.h: the options of a request. Never a path, a command or a connection string:
// where the data goes is decided on the standby host alone.
#pragma once

#include "extension/pg/server.h"

namespace entry {

// An ERROR on an option that does not exist or a value that it cannot have. Returns
// when the request expires.
TimestampTz check_options(Jsonb* options);

}  // namespace entry
