#pragma once
/// \file
/// What every tool's main does around its work: parse the command line, turn exceptions into one
/// line on stderr and an exit status.

#include <CLI/CLI.hpp>
#include <functional>

#include "reference/core/error.hpp"

namespace apb {

/// A status as the exit code that means it (error.hpp).
[[nodiscard]] inline int plain_exit_code(ExitStatus status) {
  return static_cast<int>(status);
}

/// Parses argv with `app` and runs `work`.
/// \param exit_code what a status becomes; ranks that a tool starts itself have codes of their own
/// \returns the exit code for main: of what `work` returns, or of 2 / 3 after printing why
int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work,
              const std::function<int(ExitStatus)>& exit_code = plain_exit_code);

}  // namespace apb
