#pragma once
/// \file
/// DeepSpeed-Ulysses (arXiv 2309.14509): exact; the ranks swap rows for heads and back.

#include "reference/methods/method.hpp"

namespace apb {

/// One layer of Ulysses' prefill on one rank. Collective.
///
/// Any number of ranks: KV head k goes to the rank r whose part [r h_kv / H, (r + 1) h_kv / H)
/// holds it, so that with more ranks than KV heads some have nothing to do.
/// \param context made from exact_config
/// \returns attention whose lse is empty: it stays on the ranks that computed it
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> ulysses_attention(const RankContext& context,
                                                    const LayerInput<Scalar>& input,
                                                    Counters& counters);

}  // namespace apb
