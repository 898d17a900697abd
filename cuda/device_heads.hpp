#pragma once
/// \file
/// Per-head tensors [rows, heads, head_dim] in device memory, seen where they lie.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "reference/core/index.hpp"

namespace apb::cuda {

/// The two element types of tensor-core attention.
using Bfloat16 = __nv_bfloat16;
using Float16 = __half;

/// A view (not an owner) of device memory. Unlike core's HeadsView its heads may lie apart, as they
/// do in a passing slice [heads, rows, head_dim]. The head_dim elements of a (row, head) are
/// contiguous.
template <class T>
struct DeviceHeads {
  T* data = nullptr;
  Index rows = 0;
  Index heads = 0;
  Index head_dim = 0;
  Index row_stride = 0;   ///< elements between a row and the next of the same head
  Index head_stride = 0;  ///< elements between a head and the next of the same row

  /// Dense [rows, heads, head_dim].
  [[nodiscard]] static DeviceHeads rows_first(T* data, Index rows, Index heads, Index head_dim) {
    return {data, rows, heads, head_dim, heads * head_dim, head_dim};
  }
  /// [heads, capacity, head_dim], of which the first `rows` rows of every head are meant.
  [[nodiscard]] static DeviceHeads heads_first(T* data, Index rows, Index heads, Index head_dim,
                                               Index capacity) {
    return {data, rows, heads, head_dim, head_dim, capacity * head_dim};
  }

  /// The view of rows [begin, begin + count).
  [[nodiscard]] DeviceHeads slice(Index begin, Index count) const {
    return {data + begin * row_stride, count, heads, head_dim, row_stride, head_stride};
  }

  /// A view of mutable elements is also a view of constant ones.
  template <class Constant>
  operator DeviceHeads<Constant>() const  // NOLINT(google-explicit-constructor)
      requires(std::is_same_v<Constant, const T> && !std::is_const_v<T>) {
    return {data, rows, heads, head_dim, row_stride, head_stride};
  }
};

}  // namespace apb::cuda
