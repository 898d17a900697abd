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

namespace apb {

enum class Method { kFull, kStar, kApb };

inline constexpr std::array kMethods{Method::kFull, Method::kStar, Method::kApb};

[[nodiscard]] std::string_view to_string(Method method);
/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] Method parse_method(std::string_view name);

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
  AttentionPartial<Scalar> attention;  ///< all rows, anchor first
  Selection<Scalar> selection;  ///< what was kept and passed; empty if the method keeps nothing
};

/// The configuration that a method really runs: what it does not use is switched off.
/// Full puts the whole document on rank 0; Star keeps and passes nothing.
[[nodiscard]] ApbConfig method_config(Method method, const ApbConfig& config);

/// One layer's prefill attention. Collective: every rank calls it for every layer.
/// \param context  made from method_config(method, …)
/// \param counters FLOPs of attention and selection are added; the caller counts bytes
template <class Scalar>
[[nodiscard]] LayerOutput<Scalar> prefill_attention(Method method, const RankContext& context,
                                                    const LayerInput<Scalar>& input,
                                                    Counters& counters);

}  // namespace apb
