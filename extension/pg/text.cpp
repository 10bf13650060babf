// text.cpp: texts that come from the wire.
#include "extension/pg/text.h"


char* checked_cstring(std::string_view text, const char* what) {
  if (text.find('\0') != std::string_view::npos ||
      !pg_verifymbstr(text.data(), static_cast<int>(text.size()), true))
    ereport(ERROR, errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
            errmsg("%s sent by the clone's helper is not valid in the server's encoding", what));
  return pnstrdup(text.data(), text.size());
}
