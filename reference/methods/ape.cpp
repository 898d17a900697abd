// APE, adaptive parallel encoding (arXiv 2502.05431): the contexts are encoded apart, each behind
// a copy of one prefix and at the same positions; the query attends to all of them with a
// temperature and a scale.
//
// APE, one layer of prefill on one rank:
//
//   rows of rank r     [ prefix | context C_r ], rank 0's block holds the prefix itself
//   positions          prefix 0 … l - 1, then every context at l, l + 1, …: they are encoded as if
//                      each were the only one
//   rows see           prefix and their own context, causally; nothing is exchanged
//
// In the query pass each prefix copy but rank 0's is dropped. Scores against contexts are divided
// by a temperature T below 1, and their log-sum-exp is scaled by S T: many contexts side by side
// otherwise draw too much and too evenly.

#include <algorithm>

#include "reference/attention/merge.hpp"
#include "reference/attention/merge_over_ranks.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/methods/define_method.hpp"

namespace apb {

/// One layer of APE's prefill on one rank: causal over [prefix, context].
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kApe> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  const std::array<KeySegment<Scalar>, 1> prefix_and_context{
      {{input.key, input.value, Visibility::kCausal}}};
  return {attend<Scalar>(input.query, prefix_and_context, context.config.softmax_scale, counters),
          {}};
}

/// The query's attention: to all contexts together with scores divided by the temperature T, to all
/// else (prefix, query, answer) plainly, merged with weights exp(S T lse_contexts) and
/// exp(lse_rest), S the scale. T = S = 1 is plain attention. Collective: one all-gather.
template <class Scalar>
AttentionPartial<Scalar> query_attention_of(MethodTag<Method::kApe> /*unused*/,
                                            const RankContext& context,
                                            const QueryInput<Scalar>& input, Counters& counters) {
  const ApbConfig& config = context.config;
  const int rank = context.communicator.rank();
  const Index prefix_rows = rank == 0 ? config.anchor_len : 0;
  const Index document_rows = context.rank_layout().cached_rows();
  const auto cached = [&](Index begin, Index end) {
    return KeySegment<Scalar>{input.cached_key.slice(begin, end - begin),
                              input.cached_value.slice(begin, end - begin), Visibility::kAll};
  };

  const std::array own_context{cached(prefix_rows, document_rows)};
  std::vector<KeySegment<Scalar>> others{cached(0, prefix_rows),
                                         cached(document_rows, input.cached_key.rows)};
  if (rank == context.layout.appending_rank) {
    others.push_back({input.key, input.value, Visibility::kCausal});
  }
  const auto merged = merge_over_ranks(
      stack_rows(attend<Scalar>(input.query, own_context,
                                config.softmax_scale / config.ape_temperature, counters),
                 attend<Scalar>(input.query, others, config.softmax_scale, counters)),
      context.communicator);

  auto contexts = slice_rows(merged, 0, input.query.rows);
  contexts.lse *= static_cast<Scalar>(config.ape_scale * config.ape_temperature);
  const std::array parts{std::move(contexts),
                         slice_rows(merged, input.query.rows, input.query.rows)};
  return merge_partials<Scalar>(parts);
}

template struct MethodCode<Method::kApe, float>;
template struct MethodCode<Method::kApe, double>;

}  // namespace apb
