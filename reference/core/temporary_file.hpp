#pragma once
/// \file
/// Names under which files are written until they are whole.

#include <string>

namespace apb {

/// Creates an empty file beside `path`, to be renamed to it when it is whole. Its name holds the
/// machine, the process and a random number, and it is new: two writers never share one, on one
/// machine or on two that share a disk.
/// \returns its name: `path` and ".part-…"; empty if it cannot be created
[[nodiscard]] std::string create_temporary_file(const std::string& path);

}  // namespace apb
