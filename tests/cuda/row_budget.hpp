#pragma once
/// \file
/// The contract's error budget (reference/verify/budget.hpp) for what the device computed, weights
/// and output of one type.

#include <iosfwd>
#include <span>

#include "reference/attention/attention.hpp"
#include "reference/core/value_type.hpp"
#include "reference/verify/budget.hpp"

namespace apb {

/// Shares of the budget that are used; right is at most 1 in each. NaN anywhere is wrong.
struct BudgetUse {
  std::vector<BudgetCheck> checks;

  [[nodiscard]] bool is_right() const;
};

std::ostream& operator<<(std::ostream& stream, const BudgetUse& use);

/// Judges a candidate's out [rows, num_q_heads, head_dim] and lse [rows, num_q_heads] against the
/// double reference on the same inputs.
[[nodiscard]] BudgetUse budget_use(ValueType type, const HeadsView<const double>& query,
                                   std::span<const KeySegment<double>> segments,
                                   double softmax_scale, const HeadsTensor<double>& out,
                                   const Matrix<double>& lse);

/// The same for chosen rows and heads of any attention.
[[nodiscard]] BudgetUse budget_use(ValueType type, const AttentionSetup& setup,
                                   std::span<const Index> rows, std::span<const Index> heads,
                                   const HeadsTensor<double>& out, const Matrix<double>& lse);

}  // namespace apb
