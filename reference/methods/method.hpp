#pragma once
/// \file
/// What every prefill method computes: one layer's attention on one rank. How it lays the document
/// out over ranks stands in core/method_list.hpp. One file per method; open apb.cpp first.

#include "reference/attention/attention.hpp"
#include "reference/attention/retaining_head.hpp"
#include "reference/attention/selection.hpp"
#include "reference/core/block_layout.hpp"
#include "reference/core/communicator.hpp"
#include "reference/core/counters.hpp"
#include "reference/core/heads_tensor.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb {

/// One layer's projections on one rank. Rows are those of the rank's layout, anchor first.
template <class Scalar>
struct LayerInput {
  Index layer = 0;
  HeadsView<const Scalar> query;       ///< [rows, num_q_heads, head_dim], after RoPE
  HeadsView<const Scalar> key;         ///< [rows, num_kv_heads, head_dim], after RoPE
  HeadsView<const Scalar> value;       ///< [rows, num_kv_heads, head_dim]
  RetainingInput<Scalar> retaining{};  ///< of the block rows; for compressor retaining_head only
};

/// Where a rank stands and what it may use.
struct RankContext {
  const ApbConfig& config;
  const BlockLayout& layout;
  Communicator& communicator;

  [[nodiscard]] const RankLayout& rank_layout() const {
    return layout.ranks[static_cast<std::size_t>(communicator.rank())];
  }
};

/// One layer's attention on one rank.
template <class Scalar>
struct LayerOutput {
  AttentionPartial<Scalar> attention;  ///< all rows, anchor first (lse: empty for Ulysses)
  Selection<Scalar> selection;  ///< what was kept and passed; empty if the method keeps nothing
};

/// One layer's prefill attention. Collective: every rank calls it for every layer.
/// \param context  made from method_config(method, …) and method_layout(method, …)
/// \param counters FLOPs of attention and selection are added; the caller counts bytes
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> prefill_attention(Method method, const RankContext& context,
                                                    const LayerInput<Scalar>& input,
                                                    Counters& counters);

/// One layer of the query pass on one rank: rows that follow the document.
template <class Scalar>
struct QueryInput {
  HeadsView<const Scalar> query;         ///< [rows, num_q_heads, head_dim], after RoPE
  HeadsView<const Scalar> key;           ///< [rows, num_kv_heads, head_dim], the rows' own
  HeadsView<const Scalar> value;         ///< [rows, num_kv_heads, head_dim]
  HeadsView<const Scalar> cached_key;    ///< [cached rows, num_kv_heads, head_dim] of this rank
  HeadsView<const Scalar> cached_value;  ///< [cached rows, num_kv_heads, head_dim]
};

/// The query rows' attention to all ranks' caches and, causally, to themselves; only the appending
/// rank holds their keys, and no cached key is hidden from them on any rank. The same on all ranks.
/// Exact for every method but APE. Collective.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> query_attention(Method method, const RankContext& context,
                                                       const QueryInput<Scalar>& input,
                                                       Counters& counters);

}  // namespace apb
