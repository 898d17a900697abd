#pragma once
/// \file
/// Matrices in device memory, seen where they lie.

#include <type_traits>

#include "reference/core/index.hpp"

namespace apb::cuda {

/// A view of device memory [rows, columns] whose rows may lie apart, as those of a part of a fused
/// product do.
template <class T>
struct DeviceRows {
  T* data = nullptr;
  Index rows = 0;
  Index columns = 0;
  Index row_stride = 0;  ///< elements between a row and the next

  /// Dense [rows, columns].
  [[nodiscard]] static DeviceRows dense(T* data, Index rows, Index columns) {
    return {data, rows, columns, columns};
  }

  /// The view of rows [begin, begin + count).
  [[nodiscard]] DeviceRows slice(Index begin, Index count) const {
    return {data + begin * row_stride, count, columns, row_stride};
  }
  /// The view of columns [begin, begin + count).
  [[nodiscard]] DeviceRows part(Index begin, Index count) const {
    return {data + begin, rows, count, row_stride};
  }

  /// A view of mutable elements is also a view of constant ones.
  template <class Constant>
  operator DeviceRows<Constant>() const  // NOLINT(google-explicit-constructor)
      requires(std::is_same_v<Constant, const T> && !std::is_const_v<T>) {
    return {data, rows, columns, row_stride};
  }
};

}  // namespace apb::cuda
