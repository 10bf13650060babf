// output.h: standard output and error on a thread of their own. A terminal that was stopped (Ctrl-S) or a
// pipe that nobody reads holds up that thread, and never who has something to say.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace standby_clone {

class Output {
 public:
  Output();
  // What was said is written first, however long that takes; unless it was abandoned.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Any thread; none waits. Nothing of these is lost.
  void line(int fd, std::string text);
  // What a newer one makes worthless: only the last one waits. A bar stays on the line until something
  // else is written.
  void passing(int fd, std::string text, bool is_bar);

  // Waits for so long at most. Whether all is written.
  bool is_written_within(std::chrono::milliseconds limit);
  // What cannot be written stays unsaid.
  void abandon() { thread_.detach(); }

 private:
  struct Text {
    int fd;
    std::string text;
    bool is_passing, is_bar;
  };
  // Outlives an Output that was abandoned.
  struct Queue;
  void put(Text text);
  static void run(Queue& queue);
  static void write_out(Queue& queue, const Text& text);

  std::shared_ptr<Queue> queue_;
  std::thread thread_;
};

}  // namespace standby_clone
