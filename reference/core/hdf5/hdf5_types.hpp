#pragma once
/// \file
/// What the HDF5 reader and writer share: C++ types as HDF5 names them. Only for the files of this
/// folder that include <hdf5.h> themselves.

#include <hdf5.h>

#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <type_traits>

#include "reference/core/index.hpp"

namespace apb {

static_assert(std::is_same_v<hid_t, std::int64_t>);

/// The type of values in memory: float, double, std::int64_t or std::uint8_t.
template <class T>
[[nodiscard]] hid_t native_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

/// Number of elements of a shape.
[[nodiscard]] inline Index product(std::span<const Index> shape) {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

}  // namespace apb
