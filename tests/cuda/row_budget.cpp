#include "tests/cuda/row_budget.hpp"

#include <algorithm>
#include <ostream>

namespace apb {

bool BudgetUse::is_right() const {
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.pass(); });
}

std::ostream& operator<<(std::ostream& stream, const BudgetUse& use) {
  for (const BudgetCheck& check : use.checks) {
    stream << check.name << " " << budget_share(check.error, check.tolerance);
    if (check.worst.row >= 0) {
      stream << " (row " << check.worst.row << ", head " << check.worst.head << ")";
    }
    stream << "; ";
  }
  return stream;
}

BudgetUse budget_use(ValueType type, const AttentionSetup& setup, std::span<const Index> rows,
                     std::span<const Index> heads, const HeadsTensor<double>& out,
                     const Matrix<double>& lse) {
  const MeasuredAttention measured = measured_attention(setup, rows, heads, type);
  return {check_attention(out, lse, measured.truth, attention_tolerances(measured, {type, type}),
                          type)};
}

BudgetUse budget_use(ValueType type, const HeadsView<const double>& query,
                     std::span<const KeySegment<double>> segments, double softmax_scale,
                     const HeadsTensor<double>& out, const Matrix<double>& lse) {
  AttentionSetup setup;
  setup.query = query;
  setup.softmax_scale = softmax_scale;
  Index group = 1;
  for (const auto& [key, value, visibility] : segments) {
    group = query.heads / key.heads;
    const bool causal = visibility == Visibility::kCausal;
    setup.keys.push_back({key, value, [causal](Index row) { return causal ? row + 1 : kWhole; }});
  }
  setup.kv_head = [group](Index head) { return head / group; };
  return budget_use(type, setup, count_up(query.rows), count_up(query.heads), out, lse);
}

}  // namespace apb
