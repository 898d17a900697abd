#pragma once
/// \file
/// Copies between rows that lie apart and rows that lie together, as messages need them.

#include "cuda/check.hpp"
#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"

namespace apb::cuda {

/// Enqueues to = from. \param from,to rows and columns of the two agree
template <class T>
void copy_columns(const DeviceRows<const T>& from, const DeviceRows<T>& to, cudaStream_t stream) {
  if (from.rows == 0) return;
  const auto bytes = [](Index elements) { return static_cast<std::size_t>(elements) * sizeof(T); };
  check(cudaMemcpy2DAsync(to.data, bytes(to.row_stride), from.data, bytes(from.row_stride),
                          bytes(from.columns), static_cast<std::size_t>(from.rows),
                          cudaMemcpyDeviceToDevice, stream));
}

/// Rows whose heads lie one after the other, as rows.
template <class T>
[[nodiscard]] DeviceRows<const T> as_rows(const DeviceHeads<T>& heads) {
  return {heads.data, heads.rows, heads.heads * heads.head_dim, heads.row_stride};
}

}  // namespace apb::cuda
