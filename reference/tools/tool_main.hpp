#pragma once
/// \file
/// What every tool's main does around its work: parse the command line, turn exceptions into one
/// line on stderr and an exit status.

#include <CLI/CLI.hpp>
#include <functional>

#include "reference/core/error.hpp"

namespace apb {

/// Parses argv with `app` and runs `work`.
/// \returns the exit status for main: what `work` returns, or 2 / 3 after printing why
int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work);

}  // namespace apb
