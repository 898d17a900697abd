#pragma once
/// \file
/// Attention over parts of the keys, put together by log-sum-exp.

#include <cuda_runtime_api.h>

#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// Shape of attention over a part of the keys. In memory a partial is one piece of fp32: out
/// [rows, num_q_heads, head_dim], then lse [rows, num_q_heads] (natural log). It is never rounded
/// to less before all parts are merged, and as one piece it is a rank's message in an all-gather.
struct PartialShape {
  Index rows = 0;
  Index num_q_heads = 0;
  Index head_dim = 0;

  [[nodiscard]] constexpr Index out_size() const { return rows * num_q_heads * head_dim; }
  /// Floats of a partial.
  [[nodiscard]] constexpr Index size() const { return out_size() + rows * num_q_heads; }
};

/// Parts that a merge takes at most.
inline constexpr Index kMaxParts = 8192;

/// Enqueues the merge of partials that lie one after the other. Parts are added in a fixed
/// order, shifted by the largest lse, so that no lse is too large. A part whose lse is -inf changes
/// nothing, whatever its out holds; without any other, out is 0 and lse -inf. NaN in a lse gives
/// NaN.
/// \tparam Out float, Bfloat16 or Float16
/// \param parts [num_parts] partials
/// \param out   [rows, num_q_heads, head_dim]
/// \param lse   [rows, num_q_heads]. out and lse may be those of one of the parts.
/// \throws BadInput if there is no part, or more than kMaxParts; CudaError if the launch is refused
template <class Out>
void merge_partials(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                    float* lse, cudaStream_t stream);

}  // namespace apb::cuda
