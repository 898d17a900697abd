#pragma once
/// \file
/// What lies on the device, as the judges take it: in double, in host memory.

#include <algorithm>
#include <vector>

#include "cuda/check.hpp"
#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"
#include "reference/core/heads_tensor.hpp"
#include "reference/core/matrix.hpp"

namespace apb::cuda {

/// Waits for the stream.
template <class T>
[[nodiscard]] Matrix<double> host_matrix(const DeviceRows<const T>& rows, cudaStream_t stream) {
  std::vector<T> values(static_cast<std::size_t>(rows.rows * rows.columns));
  const std::size_t width = static_cast<std::size_t>(rows.columns) * sizeof(T);
  check(cudaMemcpy2DAsync(values.data(), width, rows.data,
                          static_cast<std::size_t>(rows.row_stride) * sizeof(T), width,
                          static_cast<std::size_t>(rows.rows), cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  Matrix<double> result(rows.rows, rows.columns);
  std::transform(values.begin(), values.end(), result.data(),
                 [](T value) { return static_cast<double>(static_cast<float>(value)); });
  return result;
}

/// Rows whose heads lie one after the other. Waits for the stream.
[[nodiscard]] inline HeadsTensor<double> host_heads(const DeviceHeads<const Bfloat16>& heads,
                                                    cudaStream_t stream) {
  const Matrix<double> values = host_matrix<Bfloat16>(
      {heads.data, heads.rows, heads.heads * heads.head_dim, heads.row_stride}, stream);
  HeadsTensor<double> result(heads.rows, heads.heads, heads.head_dim);
  std::copy_n(values.data(), values.size(), result.values().begin());
  return result;
}

}  // namespace apb::cuda
