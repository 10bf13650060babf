// check.cpp: the two halves of check_standby_clone(), of which the program asks the first before a clone.
#include "extension/preflight/checks.h"

extern "C" {
PG_FUNCTION_INFO_V1(pg_standby_clone_preflight);
PG_FUNCTION_INFO_V1(pg_standby_clone_preflight_files);
}

Datum pg_standby_clone_preflight(PG_FUNCTION_ARGS) {
  preflight::check_caller();
  InitMaterializedSRF(fcinfo, 0);
  preflight::Findings findings{reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)};
  preflight::check_server(findings);
  preflight::check_places(findings);
  preflight::check_configuration(findings);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  preflight::check_wal(findings);
  preflight::check_host_based_access(findings);
  preflight::check_collations(findings);
  SPI_finish();
  return static_cast<Datum>(0);
}

Datum pg_standby_clone_preflight_files(PG_FUNCTION_ARGS) {
  preflight::check_caller();
  InitMaterializedSRF(fcinfo, 0);
  preflight::Findings findings{reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)};
  preflight::check_files(findings);
  return static_cast<Datum>(0);
}
