// requests.cpp: what a donor decodes: any bytes as each request, and as paths against the rules of
// what travels.
#include "fuzz/target.h"
#include "fuzz/message.h"

#include <string_view>
#include <vector>

#include "extension/catalogue/names.h"
#include "protocol/path.h"
#include "protocol/request.h"

namespace {

void try_path(std::string_view path) {
  constexpr std::string_view kVersion = "PG_15_202209061";
  auto place = catalogue::place_of(path, kVersion);
  catalogue::is_left_out(place, catalogue::name_of(path), kVersion);
  catalogue::RelationName relation;
  bool is_relation = catalogue::parse_relation_name(path, relation);
  require(!is_relation || !relation.relation.empty());
  catalogue::is_temporary_relation(path);
  if (!protocol::is_clean_path(path)) return;
  require(path.size() < protocol::kPathMax && path.front() != '/' && path.back() != '/');
  require(path.find('\0') == path.npos && path != ".." && !path.starts_with("../") &&
          !path.ends_with("/..") && path.find("/../") == path.npos && path.find("//") == path.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  protocol::Bytes bytes = std::as_bytes(std::span(data, size));
  try_as<protocol::Hello>(bytes);
  try_as<protocol::Begin>(bytes);
  try_as<protocol::List>(bytes);
  try_as<protocol::Read>(bytes);
  try_as<protocol::Compare>(bytes);
  try_as<protocol::PageHashes>(bytes);
  try_as<protocol::Heartbeat>(bytes);
  try_as<protocol::PauseAck>(bytes);
  try_as<protocol::End>(bytes);
  try_as<protocol::AckLabel>(bytes);
  try_as<protocol::Outcome>(bytes);
  try_as<protocol::Survey>(bytes);
  try_as<protocol::WalHash>(bytes);
  try_as<protocol::Changes>(bytes);
  try_as<protocol::NewerPages>(bytes);
  try_as<protocol::Inherit>(bytes);
  try_path({reinterpret_cast<const char*>(data), size});
  return 0;
}
