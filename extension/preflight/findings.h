// findings.h: what a check has found, as rows: check_standby_clone() shows those with a
// verdict, the program on the standby's host reads the facts as well.
#pragma once

#include "extension/pg/server.h"

namespace preflight {

enum class Verdict { kOk, kWarning, kError, kFact };

struct Findings {
  ReturnSetInfo* result;
};
static_assert(std::is_trivially_destructible_v<Findings>);

// One row. `hint` is a sentence that says what to do; NULL where there is nothing to do.
void add(Findings& findings, const char* check, Verdict verdict, const char* detail,
         const char* hint = nullptr);

// A fact for the program: no verdict, a value.
inline void add_fact(Findings& findings, const char* name, const char* value) {
  add(findings, name, Verdict::kFact, value);
}

// Sizes and times as people read them: "1.2 GB", "3 min 20 s".
char* human_size(double bytes);
char* human_time(double seconds);

}  // namespace preflight
