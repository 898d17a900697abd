#pragma once
/// \file
/// Options that name files: those that are read are never overwritten.

#include <CLI/CLI.hpp>
#include <string>

namespace apb {

/// Marks an option whose values are files that the command reads, or names of such in configs/.
/// \param default_path what is read if the option is not given
CLI::Option* reads_files(CLI::Option* option, const std::string& default_path = {});

/// Marks an option whose value is a file that the command writes.
CLI::Option* writes_file(CLI::Option* option);

/// For a command line that has been parsed: no file that is written is one that is read, by
/// whatever name. tool_main calls it for every command.
/// \throws BadInput naming both options
void require_inputs_kept(const CLI::App& app);

}  // namespace apb
