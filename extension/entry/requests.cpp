// requests.cpp: request_standby_clone() and cancel_standby_clone().
#include "extension/entry/options.h"
#include "extension/entry/rights.h"
#include "extension/pg/text.h"
#include "extension/session/agents.h"
#include "extension/session/steer.h"
#include "extension/session/table.h"

extern "C" {
PG_FUNCTION_INFO_V1(request_standby_clone);
PG_FUNCTION_INFO_V1(cancel_standby_clone);
}

namespace {

using session::State;

// Who asks: the functions themselves run as their owner.
const char* caller() { return GetUserNameFromId(GetOuterUserId(), false); }

void refuse_running(const char* target, std::int64_t id) {
  ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
          errmsg("a clone to \"%s\" is already running", target),
          id == 0 ? errhint("Wait for it to end.")
                  : errhint("Wait for it, or end it with cancel_standby_clone(%lld).",
                            static_cast<long long>(id)));
}

// A request of the same target that waits. Who takes it back in an open transaction is waited for.
std::int64_t find_queued(const table::Access& access, const char* target) {
  while (table::run(psprintf("SELECT id FROM %s WHERE target = $1 AND state = 'queued'", access.records),
                    {table::text(target)}) > 0) {
    std::int64_t id = table::number_result(1);
    table::lock_row(id);
    if (table::run(psprintf("SELECT FROM %s WHERE id = $1 AND state = 'queued'", access.records),
                   {table::number(id)}) > 0)
      return id;
  }
  return 0;
}

bool cancel_queued(const table::Access& access, std::int64_t id) {
  bool is_cancelled = table::change(
      access, id, table::Waits::kAsNeeded, "t.state = 'queued'",
      "'state', 'cancelled', 'finished_at', clock_timestamp(), 'error', $2",
      {table::number(id), table::text(psprintf("cancelled by role \"%s\"", caller()))});
  if (is_cancelled) table::notify(id, State::kCancelled);
  return is_cancelled;
}

bool is_known(const table::Access& access, std::int64_t id) {
  return table::run(psprintf("SELECT FROM %s WHERE id = $1", access.records),
                    {table::number(id)}) > 0;
}

}  // namespace

// Transactional: who rolls back has never asked.
Datum request_standby_clone(PG_FUNCTION_ARGS) {
  entry::require_primary("a clone cannot be requested");
  const char* target = text_to_cstring(PG_GETARG_TEXT_PP(0));
  Jsonb* options = PG_GETARG_JSONB_P(1);
  std::size_t length = std::strlen(target);
  if (length == 0 || length >= NAMEDATALEN)
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("a target's name has 1 to %d bytes", NAMEDATALEN - 1));
  TimestampTz expires = entry::check_options(options);

  table::Access access = table::open(table::of(fcinfo));
  table::sweep(access);
  table::lock_target(target);
  if (std::int64_t queued = find_queued(access, target); queued != 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("a clone to \"%s\" is already requested", target),
            errhint("Wait for it, or end it with cancel_standby_clone(%lld).",
                    static_cast<long long>(queued)));
  session::Live running = session::find_live(target);
  if (running.exists) refuse_running(target, running.id);
  std::int64_t id = table::draw_number(access);
  table::add(access,
             "'uuid', gen_random_uuid(), 'target', $2, 'state', 'queued', 'phase', 'queued', 'options', $3, "
             "'requested_by', $4, 'requested_at', clock_timestamp(), 'expires_at', $5",
             {table::number(id), table::text(target), {JSONBOID, JsonbPGetDatum(options), false},
              table::text(caller()), table::time(expires)});
  table::notify(id, State::kQueued);
  table::close(access);

  if (!session::has_agent(target))
    ereport(WARNING, errmsg("no agent for \"%s\" is connected", target),
            errdetail("Request %lld waits for one until %s.", static_cast<long long>(id),
                      timestamptz_to_str(expires)),
            errhint("Start one on the standby host: pg_standby_clone agent --name %s -D DIR.",
                    target));
  PG_RETURN_INT64(id);
}

// A clone that runs is told to end at once, whatever becomes of this transaction; a
// request that waits is cancelled with it.
Datum cancel_standby_clone(PG_FUNCTION_ARGS) {
  std::int64_t id = PG_GETARG_INT64(0);
  const char* reason = psprintf("cancelled by role \"%s\"", caller());
  if (session::cancel(id, reason)) PG_RETURN_BOOL(true);
  if (RecoveryInProgress() && id > 0) entry::require_primary("a request cannot be cancelled");
  bool known = session::has_ended(id);
  if (!known && id > 0) {
    table::Access access = table::open(table::of(fcinfo));
    // Its worker may have taken it just now.
    bool is_cancelled = cancel_queued(access, id) || session::cancel(id, reason);
    known = is_cancelled || is_known(access, id);
    table::close(access);
    if (is_cancelled) PG_RETURN_BOOL(true);
  }
  if (!known)
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
            errmsg("clone %lld does not exist", static_cast<long long>(id)));
  PG_RETURN_BOOL(false);
}
