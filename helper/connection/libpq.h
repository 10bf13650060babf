// libpq.h: what the files of this room share of libpq; nobody else includes it.
#pragma once

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <string>
#include <vector>

#include "helper/base/failure.h"

namespace standby_clone {

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

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

// What a connection is begun with; of two of one name the later one counts.
struct Keywords {
  std::vector<std::string> names, values;

  void add(const std::string& name, const std::string& value) {
    names.push_back(name);
    values.push_back(value);
  }
  void add_given(const std::string& name, const std::string& value) {
    if (!value.empty()) add(name, value);
  }
  // `expands`: the first dbname is a conninfo string or an URI.
  PGconn* start(bool expands) const {
    std::vector<const char*> name_list, value_list;
    for (const auto& name : names) name_list.push_back(name.c_str());
    for (const auto& value : values) value_list.push_back(value.c_str());
    name_list.push_back(nullptr);
    value_list.push_back(nullptr);
    PGconn* connection = PQconnectStartParams(name_list.data(), value_list.data(), expands);
    if (connection == nullptr) fail(Kind::kInternal, "out of memory for a connection");
    return connection;
  }
};

}  // namespace standby_clone
