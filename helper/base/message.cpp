// message.cpp: colours.
#include "helper/base/message.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace standby_clone {

bool wants_colour(std::FILE* stream) {
  const char* setting = std::getenv("PG_COLOR");
  if (setting == nullptr) return false;
  return std::strcmp(setting, "always") == 0 ||
         (std::strcmp(setting, "auto") == 0 && isatty(fileno(stream)) == 1);
}

std::string label(Label what) {
  const char* word = what == Label::kError     ? "error: "
                     : what == Label::kWarning ? "warning: "
                                               : "hint: ";
  if (!wants_colour(stderr)) return word;
  const char* colour = what == Label::kError ? "01;31" : what == Label::kWarning ? "01;35" : "01;36";
  return std::string("\033[") + colour + "m" + word + "\033[0m";
}

}  // namespace standby_clone
