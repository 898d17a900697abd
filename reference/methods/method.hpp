#pragma once
/// \file
/// What every prefill method is: a way to lay the document out over ranks, and one layer's
/// attention on one rank. One file per method; open apb.cpp first.

#include <array>
#include <string_view>

#include "reference/attention/attention.hpp"
#include "reference/attention/retaining_head.hpp"
#include "reference/attention/selection.hpp"
#include "reference/core/block_layout.hpp"
#include "reference/core/communicator.hpp"
#include "reference/core/counters.hpp"
#include "reference/core/heads_tensor.hpp"
#include "reference/core/work.hpp"

namespace apb {

enum class Method { kFull, kRing, kZigzagRing, kUlysses, kStar, kApe, kApb, kSpava };

inline constexpr std::array kMethods{Method::kFull,    Method::kRing, Method::kZigzagRing,
                                     Method::kUlysses, Method::kStar, Method::kApe,
                                     Method::kApb,     Method::kSpava};

/// Those whose ranks hold [anchor, passing, block] and nothing else: what a case file describes.
inline constexpr std::array kBlockMethods{Method::kFull, Method::kStar, Method::kApb};

[[nodiscard]] std::string_view to_string(Method method);
/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] Method parse_method(std::string_view name);

/// As parse_method, among kBlockMethods.
[[nodiscard]] Method parse_block_method(std::string_view name);

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

/// The configuration that a method really runs: what it does not use is switched off.
/// Full puts the whole document on rank 0; Star keeps and passes nothing; and so on.
/// \throws BadInput for what the method cannot do
[[nodiscard]] ApbConfig method_config(Method method, const ApbConfig& config);

/// Who holds what.
/// \param config made by method_config
[[nodiscard]] BlockLayout method_layout(Method method, const ApbConfig& config);

/// Counters of one layer on each rank, in closed form (core/work.hpp).
/// \param config made by method_config
[[nodiscard]] std::vector<Counters> method_work(Method method, const ApbConfig& config,
                                                Index element_bytes, const LayerSizes& sizes = {});

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
/// rank holds their keys, and no cached key is hidden anywhere (facts D6). The same on all ranks.
/// Exact for every method but APE. Collective.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> query_attention(Method method, const RankContext& context,
                                                       const QueryInput<Scalar>& input,
                                                       Counters& counters);

}  // namespace apb
