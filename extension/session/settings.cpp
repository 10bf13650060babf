// settings.cpp: definition of the configuration parameters.
#include "extension/session/settings.h"

#include "extension/pg/server.h"
#include "protocol/limits.h"

namespace settings {

int reconnect_timeout_s = 300;
int pause_timeout_s = 24 * 3600;
int max_streams = 16;
int history_keep = 1000;

void define() {
  DefineCustomIntVariable(
      "pg_standby_clone.reconnect_timeout",
      "Time after a helper's last sign of life at which its clone ends.",
      "The backup is then aborted and the clone's replication slot dropped.", &reconnect_timeout_s,
      300, 1, 7 * 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "pg_standby_clone.pause_timeout", "Longest time a clone may stay paused.",
      "It then fails, since the WAL that it holds back grows.", &pause_timeout_s, 24 * 3600, 1,
      7 * 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("pg_standby_clone.history_keep",
                          "Number of ended clones that are kept in the history.",
                          "-1 keeps all of them.", &history_keep, 1000, -1, 1000000, PGC_SIGHUP, 0,
                          nullptr, nullptr, nullptr);
  DefineCustomIntVariable("pg_standby_clone.max_streams",
                          "Maximum number of parallel streams of one clone.", nullptr, &max_streams,
                          16, 1, protocol::kStreamsMax, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  MarkGUCPrefixReserved("pg_standby_clone");
}

}  // namespace settings
