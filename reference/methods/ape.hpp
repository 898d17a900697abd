#pragma once
/// \file
/// APE, adaptive parallel encoding (arXiv 2502.05431): the contexts are encoded apart, each behind
/// a copy of one prefix and at the same positions; the query attends to all of them with a
/// temperature and a scale.

#include "reference/methods/method.hpp"

namespace apb {

/// The prefix is the first anchor_len tokens, without a query; nothing is passed.
[[nodiscard]] ApbConfig ape_config(ApbConfig config);

/// As make_block_layout, but every context starts at the position behind the prefix, and the query
/// behind the longest context.
[[nodiscard]] BlockLayout ape_layout(const ApbConfig& config);

/// One layer of APE's prefill on one rank: causal over [prefix, context].
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> ape_attention(const RankContext& context,
                                                const LayerInput<Scalar>& input,
                                                Counters& counters);

/// The query's attention: to all contexts together with scores divided by the temperature T, to all
/// else (prefix, query, answer) plainly, merged with weights exp(S T lse_contexts) and
/// exp(lse_rest), S the scale. T = S = 1 is plain attention. Collective: one all-gather.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> ape_query_attention(const RankContext& context,
                                                           const QueryInput<Scalar>& input,
                                                           Counters& counters);

}  // namespace apb
