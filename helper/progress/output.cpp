// output.cpp: one writer.
#include "helper/progress/output.h"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace standby_clone {
namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<std::size_t>(wrote));
      continue;
    }
    pollfd room{fd, POLLOUT, 0};
    if (errno == EAGAIN) ::poll(&room, 1, -1);
    // Nobody is there to be told.
    else if (errno != EINTR) return;
  }
}

}  // namespace

struct Output::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Text> texts;
  bool is_writing = false, is_ended = false;
  bool bar_drawn = false;  // the writer's own
};

Output::Output() : queue_(std::make_shared<Queue>()) {
  thread_ = std::thread([queue = queue_] { run(*queue); });
}

Output::~Output() {
  {
    std::lock_guard lock(queue_->mutex);
    queue_->is_ended = true;
    queue_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Output::line(int fd, std::string text) { put({fd, std::move(text), false, false}); }

void Output::passing(int fd, std::string text, bool is_bar) {
  put({fd, std::move(text), true, is_bar});
}

void Output::put(Text text) {
  std::lock_guard lock(queue_->mutex);
  if (text.is_passing && !queue_->texts.empty() && queue_->texts.back().is_passing)
    queue_->texts.back() = std::move(text);
  else
    queue_->texts.push_back(std::move(text));
  queue_->changed.notify_all();
}

bool Output::is_written_within(std::chrono::milliseconds limit) {
  std::unique_lock lock(queue_->mutex);
  return queue_->changed.wait_for(
      lock, limit, [&] { return queue_->texts.empty() && !queue_->is_writing; });
}

void Output::run(Queue& queue) {
  std::unique_lock lock(queue.mutex);
  while (true) {
    queue.changed.wait(lock, [&] { return queue.is_ended || !queue.texts.empty(); });
    if (queue.texts.empty()) break;
    Text text = std::move(queue.texts.front());
    queue.texts.pop_front();
    queue.is_writing = true;
    lock.unlock();
    write_out(queue, text);
    lock.lock();
    queue.is_writing = false;
    queue.changed.notify_all();
  }
  lock.unlock();
  if (queue.bar_drawn) write_all(STDERR_FILENO, "\r\033[K");
}

void Output::write_out(Queue& queue, const Text& text) {
  std::string wiped = queue.bar_drawn || text.is_bar ? "\r\033[K" : "";
  if (text.fd == STDERR_FILENO) {
    write_all(text.fd, wiped + text.text);
  } else {
    write_all(STDERR_FILENO, wiped);
    write_all(text.fd, text.text);
  }
  queue.bar_drawn = text.is_bar;
}

}  // namespace standby_clone
