#pragma once
/// \file
/// Locret's retaining head (arXiv 2410.01805), which APB ranks a block's tokens with: a small
/// trained network that guesses from a token's own projections how much later tokens will want it.

#include "reference/core/counters.hpp"
#include "reference/core/weights/retaining_head_weights.hpp"

namespace apb {

/// What one layer's scores are made from. Null unless the compressor is retaining_head.
template <class Scalar>
struct RetainingInput {
  const RetainingHead<Scalar>* head = nullptr;
  /// [block_rows, inputs]: query heads, key heads, value heads of every block row before RoPE.
  const Matrix<Scalar>* features = nullptr;
};

/// scores = silu(features fc1^T) fc2^T, one score per token and KV head; each sees all heads.
/// A linear head: scores = features fc1^T.
/// \param features [rows, inputs]
/// \param counters compressor_flop grows by 2 m n k of each product
/// \returns [rows, num_kv_heads]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> retaining_scores(const RetainingHead<Scalar>& head,
                                              const Matrix<Scalar>& features, Counters& counters);

}  // namespace apb
