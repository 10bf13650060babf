// stop.cpp: a bell that rings on.
#include "helper/base/stop.h"

#include <cerrno>
#include <cstring>
#include <poll.h>

#include "helper/base/failure.h"

namespace standby_clone {

StopSource::StopSource() : StopSource(nullptr) {}

StopSource::StopSource(const StopSource* parent) : parent_(parent) {}

void StopSource::request() noexcept {
  requested_.store(true, std::memory_order_release);
  event_.ring();
}

short wait_for(int fd, short events, int timeout_ms, const StopSource& stop, Bell* bell) {
  // A negative descriptor is one that poll() passes over.
  int parent = stop.parent() != nullptr ? stop.parent()->fd() : -1;
  int rung = bell != nullptr ? bell->fd() : -1;
  pollfd watched[] = {
      {stop.fd(), POLLIN, 0}, {fd, events, 0}, {parent, POLLIN, 0}, {rung, POLLIN, 0}};
  int count = ::poll(watched, std::size(watched), timeout_ms);
  if (count < 0 && errno != EINTR)
    fail(Kind::kInternal, std::string("poll() failed: ") + strerror(errno));
  if (count > 0 && watched[3].revents != 0) bell->silence();
  return count > 0 && fd >= 0 ? watched[1].revents : short{0};
}

}  // namespace standby_clone
