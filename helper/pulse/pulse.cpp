// pulse.cpp: a wait with a bell at its end.
#include "helper/pulse/pulse.h"

#include <poll.h>

namespace standby_clone {

Pulse::Pulse(std::chrono::milliseconds interval, std::function<void()> beat) {
  thread_ = std::thread([this, interval, beat = std::move(beat)] {
    pollfd ended{end_.fd(), POLLIN, 0};
    while (::poll(&ended, 1, static_cast<int>(interval.count())) <= 0) beat();
  });
}

Pulse::~Pulse() {
  end_.ring();
  thread_.join();
}

}  // namespace standby_clone
