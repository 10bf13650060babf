// report.h: findings as people and programs read them, on standard output.
#pragma once

#include <string>

#include "helper/preflight/findings.h"

namespace standby_clone {

// One row a finding, long texts wrapped to the terminal's width; a hint below its row;
// the verdict last.
void print_table(const Findings& findings);
std::string table_of(const Findings& findings, unsigned width, bool in_colour);

// One JSON object a line: "type" is "check", for the last one "result".
void print_json(const Findings& findings);

}  // namespace standby_clone
