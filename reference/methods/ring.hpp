#pragma once
/// \file
/// Ring attention (arXiv 2310.01889), contiguous blocks: exact, every rank sees every key pass by.

#include "reference/methods/method.hpp"

namespace apb {

/// One layer of ring attention's prefill on one rank. Collective.
/// \param context made from exact_config
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> ring_attention(const RankContext& context,
                                                 const LayerInput<Scalar>& input,
                                                 Counters& counters);

}  // namespace apb
