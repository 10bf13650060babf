// survey.h: what the donor has, by the list that a clone would get, without a backup. It takes as long as the donor
// needs to look at each file.
#pragma once

#include <functional>
#include <string>

#include "helper/connection/connection.h"
#include "helper/plan/file_list.h"
#include "helper/preflight/donor.h"

namespace standby_clone {

// Leads `connection` into the clone's procedure, where it stays: the last thing it is used for. `tell` is called now
// and then with the number of files so far. Fails if nothing at all comes for kAnswerLimit.
FileList list_files_of(Connection& connection, const std::string& schema, const StopSource& stop,
                       const std::function<void(std::size_t)>& tell);

// Puts the list's sizes to the places of the report, and adds what it says as findings.
void take_sizes(const FileList& list, DonorReport& report, Findings& findings);

}  // namespace standby_clone
