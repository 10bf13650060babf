// findings.cpp: rows of a check.
#include "extension/preflight/findings.h"

namespace preflight {
namespace {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kWarning: return "warning";
    case Verdict::kError: return "error";
    case Verdict::kFact: return "fact";
  }
  return "";
}

}  // namespace

void add(Findings& findings, const char* check, Verdict verdict, const char* detail,
         const char* hint) {
  Datum values[4] = {CStringGetTextDatum(check), CStringGetTextDatum(name_of(verdict)),
                     CStringGetTextDatum(detail == nullptr ? "" : detail), 0};
  bool nulls[4] = {false, false, detail == nullptr, hint == nullptr};
  if (hint != nullptr) values[3] = CStringGetTextDatum(hint);
  tuplestore_putvalues(findings.result->setResult, findings.result->setDesc, values, nulls);
}

char* human_size(double bytes) {
  constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < lengthof(kUnits); ++unit) bytes /= 1024;
  return psprintf("%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, kUnits[unit]);
}

char* human_time(double seconds) {
  // Beyond a month nobody reads the rest.
  if (seconds > 30.0 * 24 * 3600) return pstrdup("more than 30 days");
  long whole = static_cast<long>(seconds);
  if (whole < 60) return psprintf("%ld s", whole);
  if (whole < 3600) return psprintf("%ld min %ld s", whole / 60, whole % 60);
  return psprintf("%ld h %ld min", whole / 3600, whole % 3600 / 60);
}

}  // namespace preflight
