// service.h: tells systemd how the agent is. A datagram to $NOTIFY_SOCKET is the whole protocol
// (sd_notify(3)); a dependency on libsystemd for that is not worth it.
#pragma once

#include <string>

namespace standby_clone {

// Lines such as "READY=1\nSTATUS=...". Does nothing where nobody listens.
void notify_service(const std::string& state) noexcept;

}  // namespace standby_clone
