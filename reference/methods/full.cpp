#include "reference/methods/full.hpp"

namespace apb {

ApbConfig exact_config(ApbConfig config) {
  config.anchor_len = 0;
  config.embedded_query_len = 0;
  config.anchor_convention = AnchorConvention::kPaper;
  config.query_insert_at = 0;
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  return config;
}

ApbConfig full_config(ApbConfig config) {
  config.block_lens.assign(static_cast<std::size_t>(config.num_ranks), 0);
  config.block_lens.front() = config.doc_len;
  return exact_config(std::move(config));
}

template <class Scalar>
LayerOutput<Scalar> full_attention(const RankContext& context, const LayerInput<Scalar>& input,
                                   Counters& counters) {
  const std::array<KeySegment<Scalar>, 1> document{{{input.key, input.value, Visibility::kCausal}}};
  return {attend<Scalar>(input.query, document, context.config.softmax_scale, counters), {}};
}

template LayerOutput<float> full_attention(const RankContext&, const LayerInput<float>&, Counters&);
template LayerOutput<double> full_attention(const RankContext&, const LayerInput<double>&,
                                            Counters&);

}  // namespace apb
