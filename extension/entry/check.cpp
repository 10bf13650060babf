// check.cpp: check_standby_clone() and what the program asks before a clone.
#include "extension/preflight/checks.h"

extern "C" {
PG_FUNCTION_INFO_V1(pg_standby_clone_preflight);
}

Datum pg_standby_clone_preflight(PG_FUNCTION_ARGS) {
  preflight::check_caller();
  InitMaterializedSRF(fcinfo, 0);
  preflight::Findings findings{reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)};
  preflight::check_server(findings);
  preflight::check_files(findings);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  preflight::check_wal(findings);
  preflight::check_host_based_access(findings);
  preflight::check_collations(findings);
  SPI_finish();
  return static_cast<Datum>(0);
}
