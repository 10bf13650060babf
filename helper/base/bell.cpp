// bell.cpp: an eventfd.
#include "helper/base/bell.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/eventfd.h>

#include "helper/base/failure.h"

namespace standby_clone {

Bell::Bell() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) fail(Kind::kInternal, std::string("could not make an eventfd: ") + strerror(errno));
}

// Neither can fail in a way that matters: a full counter is readable too, an empty one is silent.
void Bell::ring() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] auto wrote = ::write(event_.get(), &one, sizeof(one));
}

void Bell::silence() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] auto got = ::read(event_.get(), &count, sizeof(count));
}

}  // namespace standby_clone
