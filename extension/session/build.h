// build.h: which build of this library runs here. A package's update replaces the library under a running
// server: from then on each new process loads another one, beside those that have the old. Processes of
// two builds must not share memory whose fields they may understand in two ways.
#pragma once

namespace session {

// Made of the text of all sources (extension.mk): the same sources are the same build, however often they
// are compiled: "build " and 16 hexadecimal digits.
extern const char kBuild[];

}  // namespace session
