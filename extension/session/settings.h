// settings.h: the extension's configuration parameters. All are read from the
// configuration file only (PGC_SIGHUP): without preloading, anything a session
// could set would give each backend its own truth (trap 81).
#pragma once

namespace settings {

extern int reconnect_timeout_s;  // the lease
extern int max_streams;          // of one clone

void define();

}  // namespace settings
