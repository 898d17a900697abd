#pragma once
/// \file
/// A first look at an HDF5 file from outside, where a crash of the library does no harm.

#include <string>

namespace apb {

/// Reads a file through once in a child process with limits on time and memory (all structure and
/// attributes; of contiguous data only the first value): libhdf5 itself crashes or hangs on some
/// broken files. Call it before anything else touches a file from outside,
/// and before MPI is initialised.
/// \throws BadInput if the file is missing, is not HDF5, or is corrupt
void check_hdf5_in_child(const std::string& path);

}  // namespace apb
