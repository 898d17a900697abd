// APB (arXiv 2502.12085): anchor block, block compression, passing block, tailored attention.
//
// APB, one layer of prefill on one rank. It reads as the paper's algorithm 2:
//
//   rows of rank r     [ anchor A | block B_r ]         rank 0 has no anchor
//   keys of rank r     [ anchor A | passing P_r | block B_r ]
//   anchor rows see    A causally, nothing else
//   block rows see     all of A, all of P_r, B_r causally
//
// P_r holds what ranks 0 … r-1 kept of their blocks in this very layer. It is dropped after the
// attention: only rows of [A | B_r] go on to the feed-forward network and into the cache.

#include "reference/attention/block_scores.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/attention/passing.hpp"
#include "reference/methods/define_method.hpp"

namespace apb {
namespace {

/// Which block tokens this rank keeps: importance by the compressor, max-pool, top-k per KV head.
template <class Scalar>
Selection<Scalar> compress_block(const RankContext& context, const LayerInput<Scalar>& input,
                                 const HeadsView<const Scalar>& block_key, Counters& counters) {
  const Matrix<Scalar> scores =
      block_scores<Scalar>(context.config, context.rank_layout(), input.layer, input.query,
                           block_key, context.communicator, counters, input.retaining);
  return select_block(scores, context.rank_layout(), context.config.pool_kernel, counters);
}

}  // namespace

/// One layer of APB's prefill on one rank (algorithm 2 of the paper). Collective.
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kApb> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  const Index anchor_rows = context.rank_layout().anchor_rows;
  const Index block_len = context.rank_layout().block_len;
  const double scale = context.config.softmax_scale;

  const auto anchor_query = input.query.slice(0, anchor_rows);
  const auto anchor_key = input.key.slice(0, anchor_rows);
  const auto anchor_value = input.value.slice(0, anchor_rows);
  const auto block_query = input.query.slice(anchor_rows, block_len);
  const auto block_key = input.key.slice(anchor_rows, block_len);
  const auto block_value = input.value.slice(anchor_rows, block_len);

  // 1. Compress the own block and exchange what is kept: one all-gather.
  Selection<Scalar> selection;
  PassingBlock<Scalar> passing;
  const bool passes =
      context.config.compressor != Compressor::kNone && context.layout.num_ranks() > 1;
  if (passes) {
    selection = compress_block(context, input, block_key, counters);
    passing = exchange_passing_block(context.layout, block_key, block_value, selection,
                                     context.communicator);
  }

  // 2. Anchor rows see the anchor only.
  const std::array<KeySegment<Scalar>, 1> anchor_keys{
      {{anchor_key, anchor_value, Visibility::kCausal}}};
  AttentionPartial<Scalar> anchor = attend<Scalar>(anchor_query, anchor_keys, scale, counters);

  // 3. Block rows see anchor and passing block whole, their own block causally.
  std::vector<KeySegment<Scalar>> block_keys{{anchor_key, anchor_value, Visibility::kAll}};
  if (passes) {
    block_keys.push_back({passing.key.view(), passing.value.view(), Visibility::kAll});
  }
  block_keys.push_back({block_key, block_value, Visibility::kCausal});
  const AttentionPartial<Scalar> block = attend<Scalar>(block_query, block_keys, scale, counters);

  return {stack_rows(std::move(anchor), block), std::move(selection)};
}

template struct MethodCode<Method::kApb, float>;
template struct MethodCode<Method::kApb, double>;

}  // namespace apb
