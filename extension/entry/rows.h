// rows.h: the rows of a set-returning function.
#pragma once

#include "extension/pg/server.h"

namespace entry {

// One row; columns are added in order.
struct Row {
  ReturnSetInfo* result;
  Datum values[32];
  bool nulls[32];
  int count;

  void add(Datum value, bool is_null = false) {
    values[count] = value;
    nulls[count++] = is_null;
  }
  void add_text(const char* text) {
    bool is_null = text == nullptr || text[0] == '\0';
    add(is_null ? 0 : CStringGetTextDatum(text), is_null);
  }
  void add_number(std::uint64_t value, bool is_null = false) {
    add(Int64GetDatum(static_cast<int64>(value)), is_null);
  }
  void add_time(TimestampTz time) { add(TimestampTzGetDatum(time), time == 0); }
  void add_lsn(XLogRecPtr lsn) { add(LSNGetDatum(lsn), XLogRecPtrIsInvalid(lsn)); }
  void put() {
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    count = 0;
  }
};

inline Row open_rows(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  Row row{};
  row.result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return row;
}

}  // namespace entry
