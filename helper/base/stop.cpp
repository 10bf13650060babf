// stop.cpp: an eventfd that is never read.
#include "helper/base/stop.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>

#include "helper/base/failure.h"

namespace standby_clone {

StopSource::StopSource() : StopSource(nullptr) {}

StopSource::StopSource(const StopSource* parent)
    : parent_(parent), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) fail(Kind::kInternal, std::string("could not make an eventfd: ") + strerror(errno));
}

void StopSource::request() noexcept {
  requested_.store(true, std::memory_order_release);
  std::uint64_t one = 1;
  // Cannot fail but by a full counter, which is readable too.
  [[maybe_unused]] auto wrote = ::write(event_.get(), &one, sizeof(one));
}

short wait_for(int fd, short events, int timeout_ms, const StopSource& stop) {
  // A negative descriptor is one that poll() passes over.
  int parent = stop.parent() != nullptr ? stop.parent()->fd() : -1;
  pollfd watched[3] = {{stop.fd(), POLLIN, 0}, {fd, events, 0}, {parent, POLLIN, 0}};
  int count = ::poll(watched, 3, timeout_ms);
  if (count < 0 && errno != EINTR)
    fail(Kind::kInternal, std::string("poll() failed: ") + strerror(errno));
  return count > 0 && fd >= 0 ? watched[1].revents : short{0};
}

}  // namespace standby_clone
