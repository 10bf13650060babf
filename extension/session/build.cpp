// build.cpp: apart, for it is compiled anew whenever any source has changed.
#include "extension/session/build.h"

namespace session {

const char kBuild[] = "build " STANDBY_CLONE_BUILD;

}  // namespace session
