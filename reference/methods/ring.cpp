// Ring attention (arXiv 2310.01889), contiguous blocks: exact, every rank sees every key pass by.
//
// Ring attention, one layer of prefill on one rank:
//
//   rows of rank r     block B_r
//   step 0             B_r attends to itself, causally
//   step s             keys and values move on by one rank: rank r now holds those of B_(r-s).
//                      If r - s >= 0 they lie before B_r: its rows see all of them. If not, the
//                      rank only passes them on, which is why early ranks idle.
//
// Partial results are merged by their log-sum-exp, so the result is exact.

#include "reference/attention/merge.hpp"
#include "reference/methods/define_method.hpp"
#include "reference/methods/ring_step.hpp"

namespace apb {

/// One layer of ring attention's prefill on one rank. Collective.
/// \param context made from exact_config
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kRing> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  Communicator& communicator = context.communicator;
  const double scale = context.config.softmax_scale;
  const std::array<KeySegment<Scalar>, 1> own{{{input.key, input.value, Visibility::kCausal}}};
  AttentionPartial<Scalar> result = attend<Scalar>(input.query, own, scale, counters);

  KeyValue<Scalar> held(input.key, input.value);
  for (int step = 1; step < communicator.num_ranks(); ++step) {
    const int owner = ring_owner(communicator, step);
    ring_step(held, context.layout.ranks[static_cast<std::size_t>(owner)].block_len, communicator);
    if (owner > communicator.rank()) continue;
    const std::array<KeySegment<Scalar>, 1> earlier{
        {{held.key.view(), held.value.view(), Visibility::kAll}}};
    const std::array parts{std::move(result),
                           attend<Scalar>(input.query, earlier, scale, counters)};
    result = merge_partials<Scalar>(parts);
  }
  return {std::move(result), {}};
}

template struct MethodCode<Method::kRing, float>;
template struct MethodCode<Method::kRing, double>;

}  // namespace apb
