// text.cpp: texts that come from the wire.
#include "extension/pg/text.h"


char* checked_cstring(std::string_view text, const char* what) {
  if (text.find('\0') != std::string_view::npos ||
      !pg_verifymbstr(text.data(), static_cast<int>(text.size()), true))
    ereport(ERROR, errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
            errmsg("%s sent by the clone's helper is not valid in the server's encoding", what));
  return pnstrdup(text.data(), text.size());
}

void copy_client_address(ClientAddress& to) {
  to[0] = '\0';
  if (MyProcPort == nullptr) return;
  const SockAddr& address = MyProcPort->raddr;
  int family = address.addr.ss_family;
  if (family != AF_INET && family != AF_INET6) return;
  char host[NI_MAXHOST];
  if (pg_getnameinfo_all(&address.addr, static_cast<int>(address.salen), host, sizeof(host), nullptr, 0,
                         NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  clean_ipv6_addr(family, host);
  strlcpy(to, host, sizeof(to));
}
