#include "reference/verify/rounded_inputs.hpp"

#include <utility>

#include "reference/verify/budget.hpp"

namespace apb {

bool rounds_inputs(ValueType compute_type, ValueType input_type) {
  return unit_roundoff(compute_type) > unit_roundoff(input_type);
}

AttentionSetup with_rounded_inputs(const AttentionSetup& setup, ValueType type) {
  AttentionSetup rounded = setup;
  const auto round = [&](HeadsView<const double>& view) {
    auto copy = std::make_shared<HeadsTensor<double>>(0, view.heads, view.head_dim);
    copy->append(view);
    for (double& value : copy->values()) value = round_to(type, value);
    view = std::as_const(*copy).view();
    rounded.owned.push_back(std::move(copy));
  };
  round(rounded.query);
  for (KeyStretch& stretch : rounded.keys) {
    round(stretch.key);
    round(stretch.value);
  }
  return rounded;
}

}  // namespace apb
