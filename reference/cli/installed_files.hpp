#pragma once
/// \file
/// Where this program and the files that belong to it lie.

#include <string>

namespace apb {

/// Path of the running program.
/// \throws CannotRun if the system does not tell
[[nodiscard]] std::string own_path();

/// Path of a file or folder that comes with the tools, e.g. "configs/models": in the installed
/// share folder if this program is an installed one, else in the source tree.
[[nodiscard]] std::string own_file(const std::string& name);

}  // namespace apb
