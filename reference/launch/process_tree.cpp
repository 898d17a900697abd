#include "reference/launch/process_tree.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr timespec kGrace{5, 0};     // from SIGTERM to SIGKILL
constexpr int kCannotStart = 127;    // as shells say it
constexpr int kEndedBySignal = 128;  // and the signal's number, as shells say it

/// The parent of a process; nothing if there is no such process any more.
std::optional<pid_t> parent_of(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end =
      text.rfind(')');  // "PID (NAME) STATE PARENT …"; a name holds anything
  if (name_end == std::string::npos || name_end + 4 >= text.size()) return {};
  return static_cast<pid_t>(std::atol(text.c_str() + name_end + 4));
}

void kill_children() {
  std::error_code ignored;  // processes come and go while we look
  for (std::filesystem::directory_iterator process("/proc", ignored), end; process != end;
       process.increment(ignored)) {
    const auto pid = static_cast<pid_t>(std::atol(process->path().filename().c_str()));
    if (pid > 0 && parent_of(process->path()) == getpid()) kill(pid, SIGKILL);
  }
}

/// Kills all descendants: a killed child's children become ours.
void kill_descendants() {
  do {
    kill_children();
  } while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
}

/// The exit code of a child, if it has ended.
std::optional<int> exit_code_of(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, WNOHANG) != child) return {};
  return WIFEXITED(status) ? WEXITSTATUS(status) : kEndedBySignal + WTERMSIG(status);
}

/// Waits until the program has ended, or is to end and does not.
int watch(pid_t program, const sigset_t& signals) {
  bool ending = false;
  for (;;) {
    const int signal =
        ending ? sigtimedwait(&signals, nullptr, &kGrace) : sigwaitinfo(&signals, nullptr);
    if (const auto code = exit_code_of(program)) return *code;
    if (ending && signal < 0 && errno == EAGAIN) return kEndedBySignal + SIGKILL;
    if (signal == SIGTERM) {
      kill(program, SIGTERM);
      ending = true;
    }
  }
}

/// Becomes the program; returns only if it cannot be started.
void become(const std::vector<char*>& arguments, int output) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  execvp(arguments[0], arguments.data());
}

/// The watching process, from its beginning to its end. A Ctrl-C reaches it too; it then goes by
/// how its parent ends.
int be_watcher(const std::vector<char*>& arguments, int output, pid_t parent) noexcept {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD}) sigaddset(&blocked, signal);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (getppid() != parent) return kCannotStart;

  const pid_t program = fork();
  if (program < 0) return kCannotStart;
  if (program == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    become(arguments, output);
    return kCannotStart;
  }
  close(output);
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  const int code = watch(program, awaited);
  kill_descendants();
  return code;
}

}  // namespace

ProcessTree::ProcessTree(const std::vector<std::string>& command, int output)
    : program_(command.front()) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  watcher_ = fork();
  if (watcher_ < 0) throw CannotRun("cannot start " + program_);
  if (watcher_ == 0) _exit(be_watcher(arguments, output, parent));
}

ProcessTree::~ProcessTree() {
  if (watcher_ < 0) return;
  end();
  while (waitpid(watcher_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ProcessTree::end() const {
  kill(watcher_, SIGTERM);
}

int ProcessTree::wait() {
  int status = 0;
  while (waitpid(watcher_, &status, 0) < 0 && errno == EINTR) {
  }
  watcher_ = -1;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : kEndedBySignal + WTERMSIG(status);
  if (code == kCannotStart) throw CannotRun("cannot start " + program_);
  return code;
}

}  // namespace apb
