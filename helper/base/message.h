// message.h: the words before a message on standard error, painted as PostgreSQL's own programs do:
// PG_COLOR is always, auto or never (or not set); PG_COLORS is not looked at.
#pragma once

#include <cstdio>
#include <string>

namespace standby_clone {

enum class Label { kError, kWarning, kHint };

// "error: ", "warning: ", "hint: ".
std::string label(Label what);

// True if PG_COLOR wants colours on this stream.
bool wants_colour(std::FILE* stream);

}  // namespace standby_clone
