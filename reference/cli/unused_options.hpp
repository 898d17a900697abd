#pragma once
/// \file
/// Options that a method has no use for: said, not refused, so that one command line can be run by
/// every method.

#include <CLI/CLI.hpp>
#include <string_view>

#include "reference/core/config.hpp"

namespace apb {

/// One line on stderr that names the options that were given but that the method replaced by values
/// of its own; nothing if there are none.
/// \param app   parsed
/// \param asked what the options say
/// \param used  method_config of it
void note_unused_options(const CLI::App& app, std::string_view method, const ApbConfig& asked,
                         const ApbConfig& used);

}  // namespace apb
