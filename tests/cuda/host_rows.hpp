#pragma once
/// \file
/// Rows of device memory in double, on the host.

#include <span>
#include <type_traits>

#include "cuda/tools/bench/host_copies.hpp"

namespace apb {

/// [rows, columns]. Waits for the stream.
template <class T>
[[nodiscard]] Matrix<double> host_rows(const cuda::DeviceRows<T>& rows, cudaStream_t stream) {
  return cuda::host_matrix<std::remove_const_t<T>>(rows, stream);
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
