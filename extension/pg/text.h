// text.h: texts between the wire, shared memory and the server's C strings.
#pragma once

#include "extension/pg/server.h"

// Copies `from` into a fixed field, cut at a character boundary of the server's
// encoding, always ended by a zero.
template <std::size_t N>
void copy_text(char (&to)[N], std::string_view from) {
  int size = pg_mbcliplen(from.data(), static_cast<int>(from.size()), N - 1);
  std::memcpy(to, from.data(), size);
  to[size] = '\0';
}

inline std::string_view view(const char* text) { return {text, std::strlen(text)}; }

// The address of this backend's client, as an inet reads it; empty where it came by a Unix socket. Never a
// name, which is what log_hostname puts into Port::remote_host.
using ClientAddress = char[48];
void copy_client_address(ClientAddress& to);

// A zero-ended copy in the current memory context. A text from the wire that is
// not valid in the server's encoding, or holds a zero, is an ERROR.
char* checked_cstring(std::string_view text, const char* what);
