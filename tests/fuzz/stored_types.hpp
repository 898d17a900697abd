#pragma once
/// \file
/// Types that an attribute or dataset of a file from outside may have.

#include <cstdint>

#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {

inline constexpr int kNumStoredTypes = 20;

/// A type of HDF5, number modulo kNumStoredTypes: integers and floats of any size and byte order,
/// strings, compounds, references, …
[[nodiscard]] Hdf5Id stored_type(int number);

/// The type that numbers are handed to the library in, for it to convert: int64 for integers,
/// double for floats; negative for all other types.
[[nodiscard]] std::int64_t number_type(std::int64_t type);

}  // namespace apb
