#pragma once
/// \file
/// Spava (arXiv 2601.21444): APB with 2 H virtual ranks in zigzag order, so that all ranks have the
/// same passing length, a training-free selection, and the query fused into the prefill.
///
/// Other than in the authors' code, scores are pooled inside each chunk, never over its borders,
/// and the number of kept entries is not rounded to multiples of 128.

#include "reference/methods/method.hpp"

namespace apb {

/// One layer of Spava's prefill on one rank. Collective.
/// \returns attention of all rows; of the query, exact attention over the whole document
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> spava_attention(const RankContext& context,
                                                  const LayerInput<Scalar>& input,
                                                  Counters& counters);

}  // namespace apb
