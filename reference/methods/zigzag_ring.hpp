#pragma once
/// \file
/// Zigzag ring attention: the ring, with the document cut so that every rank has the same work (if
/// 2 H divides the document; else the last chunks are shorter).

#include "reference/methods/method.hpp"

namespace apb {

/// As exact_config; block_lens become what the zigzag cut gives each rank.
/// \throws BadInput if block lengths are given
[[nodiscard]] ApbConfig zigzag_config(ApbConfig config);

/// The document in 2 H chunks of equal_chunks; rank r holds chunks r and 2 H - 1 - r.
[[nodiscard]] BlockLayout zigzag_layout(const ApbConfig& config);

/// One layer of zigzag ring attention's prefill on one rank. Collective.
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> zigzag_ring_attention(const RankContext& context,
                                                        const LayerInput<Scalar>& input,
                                                        Counters& counters);

}  // namespace apb
