// Star Attention, phase 1 (arXiv 2411.17116): every rank but the first puts an anchor, the start
// of the document, before its own block and attends to both; nothing is exchanged. The paper's
// anchor is as long as a block and holds no query; here any length, with or without the query.

#include "reference/methods/define_method.hpp"

namespace apb {

/// Causal attention over [anchor, block].
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kStar> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  // Anchor rows come first, so one causal mask over [anchor, block] is all there is.
  const std::array<KeySegment<Scalar>, 1> anchor_and_block{
      {{input.key, input.value, Visibility::kCausal}}};
  return {attend<Scalar>(input.query, anchor_and_block, context.config.softmax_scale, counters),
          {}};
}

template struct MethodCode<Method::kStar, float>;
template struct MethodCode<Method::kStar, double>;

}  // namespace apb
