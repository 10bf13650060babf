// process.cpp: posix_spawn, with nothing of ours inherited but the environment, without what is of connections.
#include "helper/server/process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

// What leads libpq, or a server's port, elsewhere: the way of this run to its donor is not the server's, which will not
// have it when it is started the next time.
bool is_of_connections(std::string_view variable) {
  std::string_view name = variable.substr(0, variable.find('='));
  return name.size() > 2 && name.starts_with("PG") && name[2] >= 'A' && name[2] <= 'Z' && name != "PGDATA" &&
         name != "PGSYSCONFDIR" && name != "PGLOCALEDIR";
}

// A server keeps what it is started with for its life: signals as they are by default, no
// terminal, and a session of its own, so that Ctrl-C here does not stop it.
class Spawning {
 public:
  Spawning() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  ~Spawning() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }

  void write_to(const std::string& file) {
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, file.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
  }
  void write_to(int fd) {
    posix_spawn_file_actions_adddup2(&actions_, fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, fd, STDERR_FILENO);
  }

  pid_t run(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> environment;
    for (char** variable = environ; *variable != nullptr; ++variable)
      if (!is_of_connections(*variable)) environment.push_back(*variable);
    environment.push_back(nullptr);
    pid_t pid = -1;
    int error = posix_spawnp(&pid, arguments[0], &actions_, &attributes_, arguments.data(), environment.data());
    if (error != 0)
      fail(Kind::kStartFailed,
           "could not run \"" + command.front() + "\": " + std::strerror(error),
           "Check --bindir, --start-command and --stop-command.");
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const std::string& output) {
  Spawning spawning;
  spawning.write_to(output);
  pid_ = spawning.run(command);
}

std::optional<int> Process::ended() {
  int status = 0;
  if (!code_ && waitpid(pid_, &status, WNOHANG) == pid_) code_ = code_of(status);
  return code_;
}

void Process::terminate() {
  if (!code_) kill(pid_, SIGTERM);
}

Ended run_program(const std::vector<std::string>& command, int timeout_ms, const StopSource& stop) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    fail(Kind::kInternal, std::string("could not create a pipe: ") + std::strerror(errno));
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  Ended result;
  pid_t pid;
  {
    Spawning spawning;
    spawning.write_to(write_end.get());
    pid = spawning.run(command);
  }
  write_end.reset();
  auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  bool is_killed = false;
  while (true) {
    if (!is_killed && (Clock::now() > deadline || stop.requested())) {
      kill(pid, SIGKILL);
      is_killed = true;
    }
    pollfd waited{read_end.get(), POLLIN, 0};
    if (poll(&waited, 1, 100) <= 0) {
      // What it has started may keep its output open: its own end is what counts.
      int status = 0;
      if (waitpid(pid, &status, WNOHANG) != pid) continue;
      result.code = code_of(status);
      return result;
    }
    char buffer[4096];
    ssize_t got = ::read(read_end.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    result.output.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  result.code = code_of(status);
  return result;
}

}  // namespace standby_clone
