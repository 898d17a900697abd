// Full attention: rank 0 computes the whole document, the others wait. The truth that all other
// methods are compared with.

#include "reference/methods/define_method.hpp"

namespace apb {

/// Causal attention over the document.
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kFull> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  const std::array<KeySegment<Scalar>, 1> document{{{input.key, input.value, Visibility::kCausal}}};
  return {attend<Scalar>(input.query, document, context.config.softmax_scale, counters), {}};
}

template struct MethodCode<Method::kFull, float>;
template struct MethodCode<Method::kFull, double>;

}  // namespace apb
