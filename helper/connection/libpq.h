// libpq.h: what the files of this room share of libpq; nobody else includes it.
#pragma once

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <string>

namespace standby_clone {

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;
using ConninfoOptions = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;

// Nobody sets this clock: a jump of the day's time is no silence of the donor's.
using Clock = std::chrono::steady_clock;

inline std::string trimmed(const char* text) {
  std::string line = text == nullptr ? "" : text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

inline std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

}  // namespace standby_clone
