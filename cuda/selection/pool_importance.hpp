#pragma once
/// \file
/// From a compressor's scores to the importance that decides.

#include <cuda_runtime_api.h>

#include "reference/core/index.hpp"

namespace apb::cuda {

/// Scores of a block, and what they become.
template <class Score>
struct Pooling {
  const float* scores = nullptr;  ///< [rows, num_kv_heads]
  Score* importance = nullptr;    ///< [rows, num_kv_heads]: float, Bfloat16 or Float16
  Index rows = 0;
  Index num_kv_heads = 0;
  Index pool_kernel = 5;  ///< odd
  Index excluded = 0;     ///< rows at the start that are no candidates
};

/// Enqueues the max-pool over pool_kernel rows of the block, per KV head: beyond its edges counts
/// as -inf, NaN in a window gives NaN. Rows that are no candidates become -inf (they still count in
/// their neighbours' windows), and all is rounded to Score.
/// \throws BadInput if a number is not possible; CudaError if the launch is refused
template <class Score>
void pool_importance(const Pooling<Score>& pooling, cudaStream_t stream);

}  // namespace apb::cuda
