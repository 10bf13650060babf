// encryption.h: whether the cluster's files are encrypted, as far as a server tells, and what that means
// for a clone. Files travel as they are; what cannot be vouched for is refused before anything is copied.
#pragma once

#include "extension/pg/server.h"

namespace pg {

struct Encryption {
  const char* by;        // NULL: nothing tells of any
  const char* obstacle;  // why no clone can be made; NULL: it can
  const char* hint;
};

Encryption find_encryption();

// May page checksums of the relation file at `path` be verified from outside of the server? Those of
// encrypted pages lie within what is encrypted.
bool has_plain_pages(const char* path);

}  // namespace pg
