// frames.cpp: what a helper decodes: any bytes as each frame, and as the donor's list of files.
#include "fuzz/target.h"
#include "fuzz/message.h"

#include <vector>

#include "helper/base/failure.h"
#include "helper/plan/file_list.h"
#include "protocol/frame.h"
#include "protocol/path.h"

namespace {

// A list that is believed names nothing outside the target.
void try_list(protocol::Bytes bytes) {
  standby_clone::FileList list;
  try {
    list.add_batch({bytes});
  } catch (const standby_clone::Failure&) {
    return;
  }
  for (const auto& file : list.files)
    require(protocol::is_clean_path(list.path(file)) && list.path(file) != "global/pg_control");
  for (const auto& directory : list.directories) require(protocol::is_clean_path(directory));
  for (const auto& tablespace : list.tablespaces)
    require(tablespace.path.starts_with("pg_tblspc/") && tablespace.target.starts_with('/'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  protocol::Bytes bytes = std::as_bytes(std::span(data, size));
  try_as<protocol::Welcome>(bytes);
  try_as<protocol::Begun>(bytes);
  try_as<protocol::Entries>(bytes);
  try_as<protocol::ListEnd>(bytes);
  try_as<protocol::Data>(bytes);
  try_as<protocol::RangeEnd>(bytes);
  try_as<protocol::Digest>(bytes);
  try_as<protocol::PageDigest>(bytes);
  try_as<protocol::Status>(bytes);
  try_as<protocol::Label>(bytes);
  try_as<protocol::Alive>(bytes);
  try_as<protocol::SurveyResult>(bytes);
  try_as<protocol::WalHashResult>(bytes);
  try_as<protocol::Changed>(bytes);
  try_as<protocol::ChangesEnd>(bytes);
  try_as<protocol::NewerDigest>(bytes);
  try_list(bytes);
  return 0;
}
