// settings.h: the extension's configuration parameters. All are read from the
// configuration file only (PGC_SIGHUP): without preloading, anything a session
// could set would give each backend its own truth (trap 81).
#pragma once

namespace settings {

extern int reconnect_timeout_s;  // the lease
extern int pause_timeout_s;      // the longest pause
extern int max_streams;          // of one clone
extern int history_keep;         // ended clones in the history, -1: all

void define();

}  // namespace settings
