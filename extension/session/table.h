// table.h: the table clone_records and its sequence, as the functions and the worker
// use it: as its owner, with a search_path that nobody else can fill, every name
// qualified.
#pragma once

#include <initializer_list>

#include "extension/pg/server.h"
#include "extension/session/shared.h"

namespace table {

// The table in the extension's schema; InvalidOid where an older version's script made
// the objects.
Oid find(Oid schema);

// The schema of the SQL function that is running.
Oid schema_of(FunctionCallInfo fcinfo);

// The table of the SQL function that is running. ERROR if there is none.
Oid of(FunctionCallInfo fcinfo);

struct Access {
  const char* records;  // qualified and quoted
  const char* phases;
  const char* schema;   // quoted
  Oid schema_oid;
  Oid user;
  int security_context;
  int guc_level;
};

// Between open and close all runs as the table's owner, with SPI connected and a
// snapshot held. Needs a transaction; an ERROR in between is undone by its abort.
Access open(Oid records);
void close(const Access& access);

struct Argument {
  Oid type;
  Datum value;
  bool is_null;
};
Argument number(std::int64_t value);
Argument text(const char* value);  // NULL and "" become NULL
Argument time(TimestampTz value);  // 0 becomes NULL
Argument lsn(XLogRecPtr value);    // invalid becomes NULL
Argument boolean(bool value);

// Runs one statement, returns the rows it touched or returned.
std::uint64_t run(const char* statement, std::initializer_list<Argument> arguments);

// A column of the first row the last statement returned; NULL is nullptr, or 0.
const char* text_result(int column);
std::int64_t number_result(int column);
bool boolean_result(int column);

// Tells listeners that a clone's state has changed: a hint, NOTIFY has no privileges.
void notify(std::int64_t id, session::State state);

// What a request that began has failed with, when its helper may take it up again (protocol::kHelperStartedAgain
// is another such error). The first stands in the view clone_list, too.
inline constexpr char kServerWentAway[] =
    "the server was restarted or crashed, or its library was replaced, during the clone";
inline constexpr char kHelperSilent[] =
    "the helper has been silent for longer than pg_standby_clone.reconnect_timeout";

// Marks failed what nobody will carry on: requests past their time, and rows of clones
// whose server went away under them.
void sweep(const Access& access);

}  // namespace table
