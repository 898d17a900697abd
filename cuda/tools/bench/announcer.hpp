#pragma once
/// \file
/// How far a benchmark is.

#include <fmt/core.h>
#include <unistd.h>

#include <string>

#include "reference/core/standard_error.hpp"

namespace apb::cuda {

/// Says what comes next, on stderr: over the line before on a terminal.
class Announcer {
 public:
  void operator()(const std::string& what) const {
    print_to_stderr(terminal_ ? fmt::format("\r\033[K{} …", what) : fmt::format("{}\n", what));
  }
  void clear() const {
    if (terminal_) print_to_stderr("\r\033[K");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) == 1;
};

}  // namespace apb::cuda
