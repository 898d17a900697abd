#pragma once
/// \file
/// Adds up what a ring's steps give, in fp32.

#include <cuda_runtime_api.h>

#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// Attention over the keys seen so far.
struct RingSums {
  float* out = nullptr;  ///< [rows, num_q_heads, head_dim]
  float* lse = nullptr;  ///< [rows, num_q_heads]
};

/// Enqueues sums = sums merged with one step's attention over further keys; with `first`, sums =
/// the step's. Rows without a key (lse -inf) change nothing.
/// \param step_out [pairs, head_dim], pairs of rows and heads; head_dim a multiple of 32
/// \param step_lse [pairs]
void merge_step(const Bfloat16* step_out, const float* step_lse, Index pairs, Index head_dim,
                bool first, const RingSums& sums, cudaStream_t stream);

/// Enqueues out = the sums, rounded. \param count elements
void round_sums(const float* sums, Index count, Bfloat16* out, cudaStream_t stream);

}  // namespace apb::cuda
