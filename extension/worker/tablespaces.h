// tablespaces.h: tablespaces that are made while a clone runs.
#pragma once

#include "extension/pg/server.h"

namespace tablespaces {

// Remembers those that are there now, at the backup's start, and returns their number.
int remember();

// Adds the paths of those that came since then to `text`, a line each.
void note_new(char* text, std::size_t room);

}  // namespace tablespaces
