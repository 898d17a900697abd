#pragma once
/// \file
/// Times of the pieces that predictions are made from: products by shape, attention by mask and
/// lengths.

#include "cuda/benchmarks/timing.hpp"
#include "reference/core/index.hpp"

namespace apb::cuda {

/// y [m, n] = x [m, k] w^T.
struct ProductShape {
  Index m = 0, n = 0, k = 0;
};

/// q_len rows over kv_len keys; causal: the last row sees all keys, each row before it one less.
struct AttentionShape {
  bool causal = true;
  Index q_len = 0, kv_len = 0, num_q_heads = 0, num_kv_heads = 0, head_dim = 0;

  [[nodiscard]] double flop() const;
};

/// Time of MatrixProducts, bf16, L2 cold. \throws CudaError if there is not enough memory
[[nodiscard]] Timing time_product(const ProductShape& shape, const Stream& stream);

/// Time of attend(), bf16, L2 cold.
/// \param shape causal: a square
[[nodiscard]] Timing time_attention(const AttentionShape& shape, const Stream& stream);

}  // namespace apb::cuda
