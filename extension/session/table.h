// table.h: clone_records, as the functions and the worker use it: as its owner, with a search_path that
// nobody else can fill, every name qualified.
//
// It is a materialized view: a table would be published by every publication FOR ALL TABLES, and a subscriber
// that lacks it would stop for all tables. What is published is an ordinary or partitioned table that is
// permanent (is_publishable_class in pg_publication.c). No statement writes to a materialized view, so rows are
// composed by queries and written here, by the calls that the server writes its own catalogues with. They are
// transactional, in the WAL, and on standbys like any other row.
//
// Law of the rows: who writes a row holds the lock of its number, to the end of his transaction. It is
// what rows of a table would have of themselves: writers of one row wait for each other, others do not.
#pragma once

#include <initializer_list>

#include "extension/pg/server.h"
#include "extension/session/shared.h"

namespace table {

// clone_records in the extension's schema; InvalidOid where an older version's script made
// the objects.
Oid find(Oid schema);

// The schema of the SQL function that is running.
Oid schema_of(FunctionCallInfo fcinfo);

// That of the SQL function that is running. ERROR if there is none.
Oid of(FunctionCallInfo fcinfo);

struct Access {
  const char* records;  // qualified and quoted
  const char* schema;   // quoted
  Oid oid;
  Oid user;
  int security_context;
  int guc_level;
};

// Between open and close all runs as the owner of clone_records, with SPI connected and a
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
Argument uuid(Datum value, bool is_null);

// Runs one query, returns the number of its rows. It sees what is committed by now, whatever the
// isolation level: who has waited for a lock must see what the other one did.
std::uint64_t run(const char* query, std::initializer_list<Argument> arguments);

// --- writing ---

// Makes others that ask for the same target wait for the end of this transaction.
void lock_target(const char* target);

// Waits for whoever writes the row of this number.
void lock_row(std::int64_t id);

// A new row. `fields` are pairs of a column's name and its value, for jsonb_build_object(); $1 is the row's
// number, which draw_number() gave. Whoever draws next waits until the row is there.
std::int64_t draw_number(const Access& access);
void add(const Access& access, const char* fields, std::initializer_list<Argument> arguments);

// Changes fields of the row t with the number id, which is also $1, if `condition` holds; r is its record
// in shared memory, if there is one. False if there is no such row, or if somebody else is writing it and
// `waits` is kNever.
enum class Waits { kAsNeeded, kNever };
bool change(const Access& access, std::int64_t id, Waits waits, const char* condition, const char* fields,
            std::initializer_list<Argument> arguments);

// Removes ended rows but the newest `keep`. Of the highest number a row without a state stays: no number is
// given twice.
void prune(const Access& access, int keep);

// A column of the first row the last query returned; NULL is nullptr, or 0.
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
