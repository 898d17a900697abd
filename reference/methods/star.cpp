#include "reference/methods/star.hpp"

namespace apb {

ApbConfig star_config(ApbConfig config) {
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  return config;
}

template <class Scalar>
LayerOutput<Scalar> star_attention(const RankContext& context, const LayerInput<Scalar>& input,
                                   Counters& counters) {
  // Anchor rows come first, so one causal mask over [anchor, block] is all there is.
  const std::array<KeySegment<Scalar>, 1> anchor_and_block{
      {{input.key, input.value, Visibility::kCausal}}};
  return {attend<Scalar>(input.query, anchor_and_block, context.config.softmax_scale, counters),
          {}};
}

template LayerOutput<float> star_attention(const RankContext&, const LayerInput<float>&, Counters&);
template LayerOutput<double> star_attention(const RankContext&, const LayerInput<double>&,
                                            Counters&);

}  // namespace apb
