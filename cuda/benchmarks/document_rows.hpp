#pragma once
/// \file
/// Activations of a document for benchmarks: every method reads the same ones, however it cuts the
/// document, so that the layers of exact methods can be held to each other.

#include <span>

#include "cuda/benchmarks/random_values.hpp"
#include "cuda/device_rows.hpp"

namespace apb::cuda {

/// Enqueues random rows: what stands at a position is always the same.
/// \param rows      dense
/// \param positions of the rows; consecutive ones are filled together
inline void fill_document_rows(const DeviceRows<Bfloat16>& rows, std::span<const Index> positions,
                               cudaStream_t stream) {
  constexpr std::uint64_t kSeed = 6;
  for (Index begin = 0, end = 0; begin < rows.rows; begin = end) {
    const Index first = positions[static_cast<std::size_t>(begin)];
    for (end = begin; end < rows.rows; ++end) {
      if (positions[static_cast<std::size_t>(end)] - first != end - begin) break;
    }
    fill_normal(rows.slice(begin, end - begin).data, (end - begin) * rows.columns, 1, kSeed, stream,
                first * rows.columns);
  }
}

}  // namespace apb::cuda
