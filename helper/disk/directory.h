// directory.h: whole directories, by absolute path: small words for the rest of the room.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "helper/disk/disk.h"

namespace standby_clone {

std::vector<std::string> entries_of(const std::string& path);
std::optional<std::string> read_if_there(const std::string& path);
std::string read_whole(const std::string& path);
// Like mkdir -p; the last directory gets mode 0700.
void make_directories(const std::string& path);
// Content only; never through a link. Nothing if it is not there.
void remove_content(const std::string& path);
// Every file and directory, each by itself.
void sync_tree(const std::string& root, Disk& disk);

}  // namespace standby_clone
