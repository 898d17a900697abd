#pragma once
/// \file
/// For the files of methods alone: how one puts its code behind its row of core/method_list.hpp.
/// The file of method M defines
///
///   template <class Scalar>
///   LayerOutput<Scalar> attention_of(MethodTag<Method::kM>, context, input, counters);
///
/// perhaps query_attention_of with the same tag, and ends with
///
///   template struct MethodCode<Method::kM, float>;
///   template struct MethodCode<Method::kM, double>;

#include "reference/methods/method_dispatch.hpp"

namespace apb {

/// Tells the methods' functions apart.
template <Method method>
struct MethodTag {};

/// The query pass of a method whose file defines none.
template <Method method, class Scalar>
[[nodiscard]] AttentionPartial<Scalar> query_attention_of(MethodTag<method> /*unused*/,
                                                          const RankContext& context,
                                                          const QueryInput<Scalar>& input,
                                                          Counters& counters) {
  return exact_query_attention(context, input, counters);
}

template <Method method, class Scalar>
LayerOutput<Scalar> MethodCode<method, Scalar>::prefill(const RankContext& context,
                                                        const LayerInput<Scalar>& input,
                                                        Counters& counters) {
  return attention_of(MethodTag<method>(), context, input, counters);
}

template <Method method, class Scalar>
AttentionPartial<Scalar> MethodCode<method, Scalar>::query(const RankContext& context,
                                                           const QueryInput<Scalar>& input,
                                                           Counters& counters) {
  return query_attention_of(MethodTag<method>(), context, input, counters);
}

}  // namespace apb
