#pragma once
/// \file
/// A first look at an HDF5 file from outside, where a crash of the library does no harm.

#include <string>

namespace apb {

/// Reads through once what this project's readers open of a file (file_names.hpp), in a child
/// process with limits on time and memory (all structure and attributes; of contiguous data only
/// the first value): libhdf5 itself crashes or hangs on some broken files. Call it before anything
/// else touches a file from outside, and before MPI is initialised. \throws BadInput if the file is
/// missing, not HDF5 or corrupt, or is sound but keeps values in a way that cannot be read here,
/// which is named; CannotRun if another program writes it
void check_hdf5_in_child(const std::string& path);

}  // namespace apb
