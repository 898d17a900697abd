#pragma once
/// \file
/// The passing block: every rank gives the KV entries it kept, one all-gather a layer, and uses
/// what the lower ranks gave (APB paper, section 3.4 and algorithm 2).

#include "reference/attention/selection.hpp"
#include "reference/core/block_layout.hpp"
#include "reference/core/communicator.hpp"

namespace apb {

/// Keys (after RoPE, at the positions they had) and values of a passing block.
template <class Scalar>
struct PassingBlock {
  HeadsTensor<Scalar> key;    ///< [passing_rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [passing_rows, num_kv_heads, head_dim]
};

/// Exchanges kept entries. Row j of KV head h is that head's own j-th entry: ranks ascending,
/// doc_pos ascending inside a rank. Collective; sizes follow from the layout.
/// \param block_key,block_value [block_rows, num_kv_heads, head_dim] of this rank
/// \param selection             of this rank
template <class Scalar>
[[nodiscard]] PassingBlock<Scalar> exchange_passing_block(
    const BlockLayout& layout, const HeadsView<const Scalar>& block_key,
    const HeadsView<const Scalar>& block_value, const Selection<Scalar>& selection,
    Communicator& communicator);

}  // namespace apb
