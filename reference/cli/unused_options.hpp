#pragma once
/// \file
/// Options that a method has no use for: said, not refused, so that one command line can be run by
/// every method.

#include <CLI/CLI.hpp>

#include "reference/core/plans/method_list.hpp"

namespace apb {

/// One line on stderr that names the options that were given but that the method replaced by values
/// of its own; nothing if there are none.
/// \param app   parsed
/// \param asked what the options say
/// \param used  method_config of it
void note_unused_options(const CLI::App& app, Method method, const ApbConfig& asked,
                         const ApbConfig& used);

/// Whether any rank keeps an entry of its block. \param used method_config, validated
[[nodiscard]] bool keeps_entries(Method method, const ApbConfig& used);

/// A line on stderr each for --pool and --seed where they were given and change nothing.
/// \param keeps        keeps_entries
/// \param seed_is_used whether a random number is drawn
void note_idle_options(const CLI::App& app, bool keeps, bool seed_is_used);

}  // namespace apb
