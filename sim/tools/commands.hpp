#pragma once
/// \file
/// The commands of `apb sim`. Each adds itself to the program; the one that was given sets `work`.

#include <CLI/CLI.hpp>
#include <functional>

#include "reference/core/error.hpp"

namespace apb::sim {

using Work = std::function<ExitStatus()>;

void add_compare_command(CLI::App& sim, Work& work);
void add_predict_command(CLI::App& sim, Work& work);
void add_sweep_command(CLI::App& sim, Work& work);
void add_search_command(CLI::App& sim, Work& work);
void add_sensitivity_command(CLI::App& sim, Work& work);
void add_trace_command(CLI::App& sim, Work& work);
void add_calibrate_command(CLI::App& sim, Work& work);
void add_validate_command(CLI::App& sim, Work& work);

}  // namespace apb::sim
