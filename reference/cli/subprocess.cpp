#include "reference/cli/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "reference/cli/pipe.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

/// Becomes the command, in the child process; returns only if it cannot be started.
void become(const std::vector<char*>& arguments, int input, int output, pid_t parent) {
  // If we are killed, nobody waits for the child's answer.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return;
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  execvp(arguments[0], arguments.data());
}

constexpr int kCannotStart = 127;  // as shells say it

pid_t start(const std::vector<std::string>& command, int input, int output) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw CannotRun(fmt::format("cannot start {}", command.front()));
  if (child == 0) {
    become(arguments, input, output, parent);
    _exit(kCannotStart);
  }
  return child;
}

/// Writes a piece of the input; closes the pipe when all is written or nobody reads.
void feed(Descriptor& to, std::string_view& rest) {
  const ssize_t written = write(to.get(), rest.data(), rest.size());
  if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  if (rest.empty() || (written < 0 && errno != EINTR && errno != EAGAIN)) to.close();
}

/// Reads a piece of the output; closes the pipe at its end.
void drain(Descriptor& from, std::string& output) {
  std::array<char, 65536> piece{};
  const ssize_t count = read(from.get(), piece.data(), piece.size());
  if (count > 0) output.append(piece.data(), static_cast<std::size_t>(count));
  if (count == 0 || (count < 0 && errno != EINTR)) from.close();
}

}  // namespace

SubprocessResult run_subprocess(const std::vector<std::string>& command, const std::string& input) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe to_child;
  Pipe from_child;
  const pid_t child = start(command, to_child.read_end.get(), from_child.write_end.get());
  to_child.read_end.close();
  from_child.write_end.close();
  // Non-blocking, so that a child that writes before it has read all cannot block both of us.
  fcntl(to_child.write_end.get(), F_SETFL, O_NONBLOCK);

  SubprocessResult result;
  std::string_view rest = input;
  if (rest.empty()) to_child.write_end.close();
  while (to_child.write_end.is_open() || from_child.read_end.is_open()) {
    std::array<pollfd, 2> waiting{
        {{to_child.write_end.get(), POLLOUT, 0}, {from_child.read_end.get(), POLLIN, 0}}};
    poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0) feed(to_child.write_end, rest);
    if (waiting[1].revents != 0) drain(from_child.read_end, result.output);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (result.exit_code == kCannotStart) throw CannotRun("cannot start " + command.front());
  return result;
}

}  // namespace apb
