// stop.cpp: a bell that rings on.
#include "helper/base/stop.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>

#include "helper/base/failure.h"

namespace standby_clone {

StopSource::StopSource() : StopSource(nullptr) {}

StopSource::StopSource(const StopSource* parent) : parent_(parent) {}

void StopSource::request(int signal) noexcept {
  int none = 0;
  if (!requested_.load(std::memory_order_acquire))
    signal_.compare_exchange_strong(none, signal, std::memory_order_acq_rel);
  requested_.store(true, std::memory_order_release);
  event_.ring();
}

std::string words_of(const StopSource& stop) {
  switch (stop.signal()) {
    case SIGINT: return "stopped by SIGINT";
    case SIGTERM: return "stopped by SIGTERM";
    case SIGHUP: return "stopped by SIGHUP";
    default: return "stopped";
  }
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
