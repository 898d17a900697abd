#pragma once
/// \file
/// Rows of device memory in double, on the host.

#include <span>
#include <vector>

#include "cuda/check.hpp"
#include "cuda/device_rows.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// [rows, columns]. Waits for the stream.
template <class T>
[[nodiscard]] Matrix<double> host_rows(const cuda::DeviceRows<T>& rows, cudaStream_t stream) {
  std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(rows.rows * rows.columns));
  const std::size_t row_bytes = static_cast<std::size_t>(rows.columns) * sizeof(T);
  cuda::check(cudaMemcpy2DAsync(
      values.data(), row_bytes, rows.data, static_cast<std::size_t>(rows.row_stride) * sizeof(T),
      row_bytes, static_cast<std::size_t>(rows.rows), cudaMemcpyDeviceToHost, stream));
  cuda::check(cudaStreamSynchronize(stream));
  Matrix<double> host(rows.rows, rows.columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    host.data()[i] = static_cast<double>(static_cast<float>(values[i]));
  }
  return host;
}

/// Chosen rows, [chosen, columns].
template <class T>
[[nodiscard]] Matrix<double> host_rows(const cuda::DeviceRows<T>& rows,
                                       std::span<const Index> chosen, cudaStream_t stream) {
  Matrix<double> host(std::ssize(chosen), rows.columns);
  for (Index i = 0; i < host.rows(); ++i) {
    host.row(i) = host_rows(rows.slice(chosen[static_cast<std::size_t>(i)], 1), stream);
  }
  return host;
}

}  // namespace apb
