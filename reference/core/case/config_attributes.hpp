#pragma once
/// \file
/// A configuration as attributes of a file's root: what case files and traces have in common.

#include "reference/core/config.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {

/// Lengths, ranks, anchor, selection and heads, each under its own name.
void set_config_attributes(Hdf5Writer& file, const ApbConfig& config);

}  // namespace apb
