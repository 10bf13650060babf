// given.h: options that are not on the command line: of the environment, and of a file.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace standby_clone {

struct Given {
  std::string name;   // the long one, without dashes
  std::string value;  // "true" of one that has none
  std::string where;  // for people
};

// PG_STANDBY_CLONE_<OPTION>, in upper case with '_' for '-'; an empty one is none. Fails with kUsage on those that
// overwrite, stop or run something: what a shell happens to export must not.
std::vector<Given> options_of_environment(const char* const* environment);

// Lines "name = value" or "name"; a value may stand in single quotes, which are doubled within. Empty lines and those
// that begin with '#' are left out. Fails with kUsage if it cannot be read, if another than this user or root could
// have written it, or on a line that is no option.
std::vector<Given> options_of_file(const std::string& path);

// Gives `app`, which has parsed its command line, what it has not been given yet. Fails with kUsage.
void take_given(CLI::App& app, const std::vector<Given>& given);

}  // namespace standby_clone
