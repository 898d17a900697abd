#pragma once
/// \file
/// Opening a file from outside for reading, and why one that is there cannot be opened.

#include <string>

#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {

/// Invalid if it cannot be opened. Where the disk has no locks it is opened without.
/// \throws CannotRun if another program has it open for writing
[[nodiscard]] Hdf5Id open_hdf5_for_reading(const std::string& path);

/// \throws CannotRun if another program has the file open for writing
void require_unlocked(const std::string& path);

/// "not an HDF5 file, truncated or corrupt", or something better if the file's first bytes say so.
[[nodiscard]] std::string why_not_opened(const std::string& path);

}  // namespace apb
