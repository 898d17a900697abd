#pragma once
/// \file
/// The passing block: every rank gives the KV entries it kept, one all-gather a layer, and uses
/// what the lower ranks gave (APB paper, section 3.4 and algorithm 2).

#include "reference/attention/selection.hpp"
#include "reference/core/block_layout.hpp"
#include "reference/core/communicator.hpp"
#include "reference/core/heads_tensor.hpp"

namespace apb {

/// Keys (after RoPE, at the positions they had) and values of a passing block.
template <class Scalar>
struct PassingBlock {
  HeadsTensor<Scalar> key;    ///< [passing_rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [passing_rows, num_kv_heads, head_dim]
};

/// What every rank kept of one block, ranks ascending: one all-gather. Row j of KV head h is that
/// head's own j-th entry, doc_pos ascending. Collective; sizes follow from the blocks.
/// \param blocks                each rank's block (block_begin, num_kept)
/// \param block_key,block_value [block_rows, num_kv_heads, head_dim] of this rank
/// \param selection             of this rank
template <class Scalar>
[[nodiscard]] std::vector<PassingBlock<Scalar>> gather_kept(
    const std::vector<RankLayout>& blocks, const HeadsView<const Scalar>& block_key,
    const HeadsView<const Scalar>& block_value, const Selection<Scalar>& selection,
    Communicator& communicator);

/// The entries of several passing blocks, one after the other; no blocks give no rows.
template <class Scalar>
[[nodiscard]] PassingBlock<Scalar> concatenate(std::span<const PassingBlock<Scalar>> blocks,
                                               Index num_kv_heads, Index head_dim);

/// Exchanges kept entries and uses those of lower ranks, ranks ascending. Collective.
/// \param block_key,block_value [block_rows, num_kv_heads, head_dim] of this rank
/// \param selection             of this rank
template <class Scalar>
[[nodiscard]] PassingBlock<Scalar> exchange_passing_block(
    const BlockLayout& layout, const HeadsView<const Scalar>& block_key,
    const HeadsView<const Scalar>& block_value, const Selection<Scalar>& selection,
    Communicator& communicator);

}  // namespace apb
