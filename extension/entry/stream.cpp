// stream.cpp: CALL pg_standby_clone_stream(), the one procedure the helper calls:
// rights, what the catalogue has to say, then the connection is a clone's.
#include "extension/entry/rights.h"
#include "extension/sender/serve.h"
#include "extension/session/table.h"

extern "C" {
PG_FUNCTION_INFO_V1(pg_standby_clone_stream);
}

namespace {

// A worker and streams in a template database would block CREATE DATABASE for
// everybody as long as the clone runs (trap 82).
void check_database() {
  HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
  bool is_template = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datistemplate;
  ReleaseSysCache(tuple);
  if (is_template)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("a clone cannot be made through a template database"),
            errhint("Create the extension in another database, and connect to that."));
}

}  // namespace

Datum pg_standby_clone_stream(PG_FUNCTION_ARGS) {
  auto* call = reinterpret_cast<CallContext*>(fcinfo->context);
  if (call == nullptr || !IsA(call, CallContext) || call->atomic)
    ereport(ERROR, errcode(ERRCODE_INVALID_TRANSACTION_STATE),
            errmsg("pg_standby_clone_stream() cannot be called inside a transaction block"),
            errhint("It is called by the pg_standby_clone program only."));
  entry::require_replication("clone this server");
  check_database();
  Oid records = table::find(table::schema_of(fcinfo));

  // The commit gives up the snapshot of this statement; nothing below takes another.
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  SPI_commit();
  InvalidateCatalogSnapshot();
  pgstat_report_xact_timestamp(0);
  sender::serve(records);
  SPI_finish();
  PG_RETURN_VOID();
}
