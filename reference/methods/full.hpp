#pragma once
/// \file
/// Full attention: rank 0 computes the whole document, the others wait. The truth that all other
/// methods are compared with.

#include "reference/methods/method.hpp"

namespace apb {

/// As given, with neither anchor, embedded query nor passing block: what all exact methods run
/// with.
[[nodiscard]] ApbConfig exact_config(ApbConfig config);

/// The whole document on rank 0.
[[nodiscard]] ApbConfig full_config(ApbConfig config);

/// Causal attention over the document.
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> full_attention(const RankContext& context,
                                                 const LayerInput<Scalar>& input,
                                                 Counters& counters);

}  // namespace apb
