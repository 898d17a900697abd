#pragma once
/// \file
/// A program together with all that it starts, of which nothing is left behind.

#include <sys/types.h>

#include <string>
#include <vector>

namespace apb {

/// Runs a program under the watch of a process of its own. When the program has ended, or when this
/// process has, however it did, every process that descends from the program is killed: also one
/// that has left its process group, as MPI launchers' helpers do, or that no longer listens.
class ProcessTree {
 public:
  /// \param command found on PATH; its standard input is empty
  /// \param output descriptor that becomes its standard output
  /// \throws CannotRun if no process can be started
  ProcessTree(const std::vector<std::string>& command, int output);
  ProcessTree(const ProcessTree&) = delete;
  ProcessTree& operator=(const ProcessTree&) = delete;
  ProcessTree(ProcessTree&&) = delete;
  ProcessTree& operator=(ProcessTree&&) = delete;
  ~ProcessTree();

  /// Asks the program to end (SIGTERM). What is there five seconds later is killed.
  void end() const;

  /// Waits until no process of the tree is left.
  /// \returns the program's exit code; 128 and the signal's number if a signal ended it
  /// \throws CannotRun if it could not be started
  [[nodiscard]] int wait();

 private:
  pid_t watcher_;
  std::string program_;
};

}  // namespace apb
