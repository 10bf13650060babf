// pulse.h: the heart of a clone: a thread that does nothing else, so that whatever holds up the main thread (a
// disk, a question to a server that does not answer) costs no lease.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "helper/base/bell.h"

namespace standby_clone {

class Pulse {
 public:
  // Calls `beat` each interval, on its own thread. It must not wait for anything but a lock that nobody
  // keeps; it may not throw.
  Pulse(std::chrono::milliseconds interval, std::function<void()> beat);
  // No beat is on its way any more.
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

 private:
  Bell end_;
  std::thread thread_;
};

}  // namespace standby_clone
