#include "reference/methods/method.hpp"

#include <utility>

#include "reference/attention/merge_over_ranks.hpp"
#include "reference/methods/method_dispatch.hpp"

namespace apb {
namespace {

/// The code of every row of kMethodList, in its order.
template <class Scalar, std::size_t... rows>
constexpr auto prefill_of_methods(std::index_sequence<rows...> /*unused*/) {
  return std::array{&MethodCode<static_cast<Method>(rows), Scalar>::prefill...};
}

template <class Scalar, std::size_t... rows>
constexpr auto query_of_methods(std::index_sequence<rows...> /*unused*/) {
  return std::array{&MethodCode<static_cast<Method>(rows), Scalar>::query...};
}

using EveryMethod = std::make_index_sequence<kMethodList.size()>;

}  // namespace

template <class Scalar>
LayerOutput<Scalar> prefill_attention(Method method, const RankContext& context,
                                      const LayerInput<Scalar>& input, Counters& counters) {
  constexpr auto kPrefill = prefill_of_methods<Scalar>(EveryMethod());
  return kPrefill.at(static_cast<std::size_t>(method))(context, input, counters);
}

template <class Scalar>
AttentionPartial<Scalar> query_attention(Method method, const RankContext& context,
                                         const QueryInput<Scalar>& input, Counters& counters) {
  constexpr auto kQuery = query_of_methods<Scalar>(EveryMethod());
  return kQuery.at(static_cast<std::size_t>(method))(context, input, counters);
}

template <class Scalar>
AttentionPartial<Scalar> exact_query_attention(const RankContext& context,
                                               const QueryInput<Scalar>& input,
                                               Counters& counters) {
  std::vector<KeySegment<Scalar>> keys{{input.cached_key, input.cached_value, Visibility::kAll}};
  if (context.communicator.rank() == context.layout.appending_rank) {
    keys.push_back({input.key, input.value, Visibility::kCausal});
  }
  const auto mine = attend<Scalar>(input.query, keys, context.config.softmax_scale, counters);
  return merge_over_ranks(mine, context.communicator);
}

template AttentionPartial<float> exact_query_attention(const RankContext&, const QueryInput<float>&,
                                                       Counters&);
template AttentionPartial<double> exact_query_attention(const RankContext&,
                                                        const QueryInput<double>&, Counters&);
template AttentionPartial<float> query_attention(Method, const RankContext&,
                                                 const QueryInput<float>&, Counters&);
template AttentionPartial<double> query_attention(Method, const RankContext&,
                                                  const QueryInput<double>&, Counters&);
template LayerOutput<float> prefill_attention(Method, const RankContext&, const LayerInput<float>&,
                                              Counters&);
template LayerOutput<double> prefill_attention(Method, const RankContext&,
                                               const LayerInput<double>&, Counters&);

}  // namespace apb
