#pragma once
/// \file
/// Runs another program with text on its standard input.

#include <string>
#include <vector>

namespace apb {

struct SubprocessResult {
  int exit_code = 0;   ///< -1 if it was ended by a signal
  std::string output;  ///< its standard output
};

/// Runs a program (found on PATH) and waits. Its standard error is ours; it is told to end
/// (SIGTERM) if this process dies first.
///
/// \throws CannotRun if it cannot be started
[[nodiscard]] SubprocessResult run_subprocess(const std::vector<std::string>& command,
                                              const std::string& input);

}  // namespace apb
