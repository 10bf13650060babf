// steer.cpp: pause_standby_clone(), resume_standby_clone(), set_clone_rate().
#include "extension/session/steer.h"

#include "extension/entry/rights.h"
#include "extension/pg/text.h"
#include "extension/session/table.h"
#include "protocol/rate.h"

extern "C" {
PG_FUNCTION_INFO_V1(pause_standby_clone);
PG_FUNCTION_INFO_V1(resume_standby_clone);
PG_FUNCTION_INFO_V1(set_clone_rate);
}

namespace {

// Of a clone that cannot be steered: false if it has ended, an ERROR if there is none or it
// has not begun.
bool explain_missing(FunctionCallInfo fcinfo, std::int64_t id) {
  if (session::has_ended(id)) return false;
  bool is_known = false, is_queued = false;
  if (id > 0) {
    table::Access access = table::open(table::of(fcinfo));
    is_known = table::run(psprintf("SELECT state = 'queued' FROM %s WHERE id = $1", access.records),
                          {table::number(id)}) > 0;
    is_queued = is_known && table::boolean_result(1);
    table::close(access);
  }
  if (is_queued)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("clone %lld has not begun", static_cast<long long>(id)),
            errhint("It waits for its agent; cancel_standby_clone() takes it back."));
  if (!is_known)
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
            errmsg("clone %lld does not exist", static_cast<long long>(id)));
  return false;
}

Datum set_paused(FunctionCallInfo fcinfo, bool is_paused) {
  std::int64_t id = PG_GETARG_INT64(0);
  session::State state{};
  if (!session::set_paused(id, is_paused, state)) PG_RETURN_BOOL(explain_missing(fcinfo, id));
  if (!RecoveryInProgress()) table::notify(id, state);
  PG_RETURN_BOOL(true);
}

}  // namespace

Datum pause_standby_clone(PG_FUNCTION_ARGS) { return set_paused(fcinfo, true); }

Datum resume_standby_clone(PG_FUNCTION_ARGS) { return set_paused(fcinfo, false); }

Datum set_clone_rate(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the clone's id is null"));
  std::int64_t id = PG_GETARG_INT64(0);
  std::uint64_t rate = 0;
  if (!PG_ARGISNULL(1)) {
    const char* wanted = text_to_cstring(PG_GETARG_TEXT_PP(1));
    auto parsed = protocol::parse_rate(view(wanted));
    if (!parsed)
      ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
              errmsg("\"%s\" is not a transfer rate", wanted),
              errhint("%s NULL lifts the limit.", protocol::kRateHint));
    rate = *parsed;
  }
  if (!session::set_rate(id, rate)) PG_RETURN_BOOL(explain_missing(fcinfo, id));
  PG_RETURN_BOOL(true);
}
