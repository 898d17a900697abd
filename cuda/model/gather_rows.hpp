#pragma once
/// \file
/// Chosen rows of a matrix: embeddings of tokens, hidden states whose logits are asked for.

#include <cuda_runtime_api.h>

#include <span>

#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"

namespace apb::cuda {

/// out[i] = table[rows[i]]; waits for the stream. T is Bfloat16 or Float16, columns are even.
/// \param rows in host memory; each less than table.rows
/// \throws BadInput if shapes do not fit; CudaError
template <class T>
void gather_rows(const DeviceRows<const T>& table, std::span<const Index> rows,
                 const DeviceRows<T>& out, cudaStream_t stream);

}  // namespace apb::cuda
