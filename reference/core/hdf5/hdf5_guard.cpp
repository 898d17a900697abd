#include "reference/core/hdf5/hdf5_guard.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/file_names.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_walk.hpp"
#include "reference/core/hdf5/open_file.hpp"
#include "reference/core/regular_file.hpp"

namespace apb {
namespace {

/// Time of the processor and memory that the child may take for the file's structure, and again for
/// each box of data. Milliseconds do, but for one broken file in a thousand libhdf5 never ends.
constexpr rlim_t kStepSeconds = 5;
constexpr rlim_t kStepBytes = rlim_t{2} << 30U;
/// A box of many bytes gets more: time at a rate that inflating reaches easily, and memory for the
/// values, and for a chunk packed and unpacked.
constexpr rlim_t kBytesPerSecond = 20 << 20U;
constexpr rlim_t kMemoryPerByte = 3;

/// How the child says what came of it, if it comes to its end.
constexpr int kSound = 0;
constexpr int kBroken = 1;
constexpr int kBrokenOrNoRoom = 2;  ///< this process may not take the memory that a step is given

/// Address space that this process takes now. Under a sanitizer that is terabytes.
rlim_t own_bytes() {
  unsigned long long pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const bool found = std::fscanf(file, "%llu", &pages) == 1;
  std::fclose(file);
  return found ? static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) : 0;
}

/// Gives this process time and memory for the next step, beside what it has taken already.
/// \param bytes values that the step reads
/// \returns whether it may take that memory: a limit on this process may be lower
bool allow_step(rlim_t bytes) {
  // A timer anew for each step. (A limit on all time would have to be raised by the time used so
  // far, which the system counts in two ways that drift apart.)
  itimerval time{};
  time.it_value.tv_sec = static_cast<time_t>(kStepSeconds + bytes / kBytesPerSecond);
  setitimer(ITIMER_PROF, &time, nullptr);  // ends the process with SIGPROF
  rlimit memory{};
  getrlimit(RLIMIT_AS, &memory);
  const rlim_t own = own_bytes();
  if (own == 0) return true;  // not told
  const rlim_t wanted = own + kStepBytes + kMemoryPerByte * bytes;
  memory.rlim_cur = std::min(memory.rlim_max, wanted);
  setrlimit(RLIMIT_AS, &memory);
  return memory.rlim_cur == wanted;
}

/// The child's lines begin with one of these.
constexpr char kObject = '/';  ///< what it reads next: its path
constexpr char kTrait = '!';   ///< why it cannot read that

/// What the child has told when the pipe ends.
struct ChildReport {
  std::string object{};  ///< the last one, with its slash; empty: it could not open the file
  std::string trait{};
};

ChildReport report_of(int pipe) {
  ChildReport report;
  std::string line;
  char letter = 0;
  while (read(pipe, &letter, 1) == 1) {
    if (letter != '\n') {
      line += letter;
      continue;
    }
    if (line.starts_with(kObject)) report.object = line;
    if (line.starts_with(kTrait)) report.trait = line.substr(1);
    line.clear();
  }
  return report;
}

void limit_child() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody waits for the answer any more
  // A crash here is an answer, not something to report: no handlers, no core, no words.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) {
    std::signal(signal, SIG_DFL);
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
}

/// The child process, whatever happens in it, ends here.
/// \param report pipe to the parent
[[noreturn]] void be_child(const std::string& path, const std::array<int, 2>& report) noexcept {
  int status = kBroken;
  bool has_room = true;
  try {
    close(report[0]);  // so that this process may open as many files as its parent could
    limit_child();
    const auto tell_parent = [&](char kind, const std::string& words) {
      dprintf(report[1], "%c%s\n", kind, words.c_str());
    };
    const auto allow = [&has_room](rlim_t bytes) { has_room = allow_step(bytes) && has_room; };
    allow(0);
    const auto fault = walk_hdf5(
        path,
        {is_known_name, [&](const std::string& object) { tell_parent(kObject, object); }, allow});
    if (!fault) status = kSound;
    if (fault && !fault->empty()) tell_parent(kTrait, *fault);
  } catch (...) {  // the status says it
  }
  _exit(status == kBroken && !has_room ? kBrokenOrNoRoom : status);
}

}  // namespace

void check_hdf5_in_child(const std::string& path) {
  silence_hdf5();
  require_regular_file(path);
  require_unlocked(path);
  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) != 0) throw CannotRun(path + ": cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) throw CannotRun(path + ": cannot start a process to read it");
  if (child == 0) be_child(path, report);
  close(report[1]);
  const auto [object, trait] = report_of(report[0]);
  close(report[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw CannotRun(path + ": lost the reading process");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSound) return;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kBrokenOrNoRoom) {
    throw CannotRun(path + ": corrupt, or more than the memory that ulimit -v leaves to read it");
  }
  if (!trait.empty()) throw BadInput(fmt::format("{}: {} {}", path, object, trait));
  // A broken file ends the child by other signals.
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU)) {
    throw CannotRun(path + ": the process that read it was killed (too little memory, ulimit -t?)");
  }
  if (object.empty()) throw BadInput(fmt::format("{}: {}", path, why_not_opened(path)));
  throw BadInput(fmt::format("{}: corrupt file (at {})", path, object));
}

}  // namespace apb
