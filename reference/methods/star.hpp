#pragma once
/// \file
/// Star Attention, phase 1 (arXiv 2411.17116): every rank but the first puts an anchor, the start
/// of the document, before its own block and attends to both; nothing is exchanged. The paper's
/// anchor is as long as a block and holds no query; here any length, with or without the query.

#include "reference/methods/method.hpp"

namespace apb {

/// As given, with nothing kept or passed.
[[nodiscard]] ApbConfig star_config(ApbConfig config);

/// Causal attention over [anchor, block].
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> star_attention(const RankContext& context,
                                                 const LayerInput<Scalar>& input,
                                                 Counters& counters);

}  // namespace apb
