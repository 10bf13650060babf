// status.h: what a directory holds and what may be done next, for people and programs: without the donor, and
// without touching anything.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace standby_clone {

// The object of docs/json-schema.json, type "status". Never fails: what cannot be looked at is "unreadable".
nlohmann::ordered_json status_of(const std::string& directory);

// Prints it. The exit code: that of Kind::kTargetRefused if it could not be told, else 0.
int run_status(const std::string& directory, bool as_json);

}  // namespace standby_clone
