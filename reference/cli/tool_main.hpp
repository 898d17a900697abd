#pragma once
/// \file
/// What every tool's main does around its work: parse the command line, turn exceptions into one
/// line on stderr and an exit status.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "reference/core/error.hpp"

namespace apb {

/// What is done last: says the line, if there is one, and makes the process's exit code.
using Ending = std::function<int(std::string_view program, ExitStatus, const std::string& line)>;

/// The line on stderr, the status as the exit code.
[[nodiscard]] int end_process(std::string_view program, ExitStatus status, const std::string& line);

/// Parses argv with `app` and runs `work`, which may be that of one rank of several.
/// \param end gets what `work` returns, or 2 / 3 and why (one line)
/// \returns the exit code for main, which `end` makes
[[nodiscard]] int tool_main(CLI::App& app, int argc, char** argv,
                            const std::function<ExitStatus()>& work, const Ending& end);

/// The same for work that one process does alone: refused (2) if an MPI launcher has started
/// several.
[[nodiscard]] int tool_main(CLI::App& app, int argc, char** argv,
                            const std::function<ExitStatus()>& work);

}  // namespace apb
