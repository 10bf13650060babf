// version.h: the one place where the version is written. The Makefile, the
// control file's check and the documents read it from here.
#pragma once

#include <cstdint>

namespace protocol {

inline constexpr char kVersion[] = "0.1.0";

// Raised when a message changes its shape. A helper and an extension that
// differ in it refuse each other with a message that names both versions.
inline constexpr std::uint16_t kProtocolVersion = 1;

}  // namespace protocol
