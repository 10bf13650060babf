// wait.cpp: CALL wait_for_standby_clone(): waits without a snapshot, so that vacuum goes
// on behind it.
#include "extension/entry/rows.h"
#include "extension/pg/compat.h"
#include "extension/session/table.h"

extern "C" {
PG_FUNCTION_INFO_V1(wait_for_standby_clone);
}

namespace {

// Often enough for people; what ends a clone wakes nobody here.
constexpr long kLookIntervalMs = 250;

// The clone's state, NULL if there is none. Read from the view: the one place that knows
// what the table and shared memory say together.
const char* state_of(Oid records, std::int64_t id, MemoryContext keep_in) {
  table::Access access = table::open(records);
  const char* state = nullptr;
  if (table::run(psprintf("SELECT state FROM %s.clone_list WHERE id = $1", access.schema),
                 {table::number(id)}) > 0)
    state = MemoryContextStrdup(keep_in, table::text_result(1));
  table::close(access);
  return state;
}

bool is_ended(const char* state) {
  for (auto ending : {session::State::kCompleted, session::State::kFailed,
                      session::State::kCancelled})
    if (std::strcmp(state, protocol::name_of(ending)) == 0) return true;
  return false;
}

void wait_a_moment(std::uint64_t until_us) {
  static const std::uint32_t event = compat::wait_event("StandbyCloneWait");
  std::uint64_t now = session::monotonic_us();
  long rest_ms = until_us > now ? static_cast<long>(
                                      Min((until_us - now) / 1000 + 1, std::uint64_t{kLookIntervalMs}))
                                : 0;
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, rest_ms, event);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

std::uint64_t microseconds_of(const Interval* timeout) {
  std::int64_t whole = timeout->time + (timeout->day + timeout->month * std::int64_t{30}) * USECS_PER_DAY;
  return whole > 0 ? static_cast<std::uint64_t>(whole) : 0;
}

Datum row_of(const char* state) {
  TupleDesc description = CreateTemplateTupleDesc(1);
  TupleDescInitEntry(description, 1, "state", TEXTOID, -1, 0);
  description = BlessTupleDesc(description);
  Datum value = CStringGetTextDatum(state);
  bool is_null = false;
  return HeapTupleGetDatum(heap_form_tuple(description, &value, &is_null));
}

}  // namespace

Datum wait_for_standby_clone(PG_FUNCTION_ARGS) {
  auto* call = reinterpret_cast<CallContext*>(fcinfo->context);
  if (call == nullptr || !IsA(call, CallContext) || call->atomic)
    ereport(ERROR, errcode(ERRCODE_INVALID_TRANSACTION_STATE),
            errmsg("wait_for_standby_clone() cannot be called inside a transaction block"),
            errhint("It would hold back vacuum for as long as the clone runs."));
  if (PG_ARGISNULL(0))
    ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the clone's id is null"));
  std::int64_t id = PG_GETARG_INT64(0);
  std::uint64_t until_us =
      PG_ARGISNULL(1) ? UINT64_MAX
                      : session::monotonic_us() + microseconds_of(PG_GETARG_INTERVAL_P(1));
  Oid records = table::of(fcinfo);
  MemoryContext outer = CurrentMemoryContext;

  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  char state[32] = "";
  while (true) {
    const char* seen = state_of(records, id, CurrentMemoryContext);
    if (seen == nullptr)
      ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
              errmsg("clone %lld does not exist", static_cast<long long>(id)));
    strlcpy(state, seen, sizeof(state));
    pfree(const_cast<char*>(seen));
    if (is_ended(state) || session::monotonic_us() >= until_us) break;
    // Gives up the snapshot and the locks of the look.
    SPI_commit();
    InvalidateCatalogSnapshot();
    wait_a_moment(until_us);
  }
  SPI_finish();
  MemoryContextSwitchTo(outer);
  return row_of(state);
}
