#pragma once
/// \file
/// Full attention: one rank computes the whole document. The baseline of every comparison.

#include "reference/methods/method.hpp"

namespace apb {

/// The whole document on rank 0, no anchor, nothing passed; other ranks hold nothing.
[[nodiscard]] ApbConfig full_config(ApbConfig config);

/// Causal attention over this rank's rows.
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> full_attention(const RankContext& context,
                                                 const LayerInput<Scalar>& input,
                                                 Counters& counters);

}  // namespace apb
