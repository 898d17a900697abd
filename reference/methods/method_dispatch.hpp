#pragma once
/// \file
/// What method.cpp calls for each row of core/method_list.hpp. Every method's own file defines it
/// (define_method.hpp); a row without code does not link.

#include "reference/methods/method.hpp"

namespace apb {

/// One method's code.
template <Method method, class Scalar>
struct MethodCode {
  static LayerOutput<Scalar> prefill(const RankContext& context, const LayerInput<Scalar>& input,
                                     Counters& counters);
  static AttentionPartial<Scalar> query(const RankContext& context, const QueryInput<Scalar>& input,
                                        Counters& counters);
};

/// The query pass of a method that has none of its own: exact attention over all caches.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> exact_query_attention(const RankContext& context,
                                                             const QueryInput<Scalar>& input,
                                                             Counters& counters);

}  // namespace apb
