#pragma once
/// \file
/// APB (arXiv 2502.12085): anchor block, block compression, passing block, tailored attention.

#include "reference/methods/method.hpp"

namespace apb {

/// One layer of APB's prefill on one rank (algorithm 2 of the paper). Collective.
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> apb_attention(const RankContext& context,
                                                const LayerInput<Scalar>& input,
                                                Counters& counters);

}  // namespace apb
