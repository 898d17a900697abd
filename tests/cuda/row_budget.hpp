#pragma once
/// \file
/// The contract's error budget of a low-precision kernel, row by row, from what rounding does; the
/// judge of this folder's tests.
///
/// Per query row and head, p the true weights, o the true output, e the error:
///   nu = sqrt(sum_j p_j^2 |v_j|^2), sigma = sum_j p_j |v_j| + |o|, S = max(1, largest |score|)
///   row:  |e| <= 2.5 (u nu + u |o|) + 2^-21 S sigma
///   all:  sum |e|^2 <= sum [(u nu)^2 / 3 + (u |o|)^2 / 3 + (2^-21 S sigma / 4)^2], from 256 rows
///   on bias: |sum of (candidate - o) in the direction of o| < 0.3 last places of o, summed lse:
///   |error| <= 2 plain + 2^-21 S, plain the error of fp32 scores and an fp32 sum
/// with u = 2^-8 (bf16), 2^-11 (fp16) or 2^-24 (fp32, no bias), of weights and output alike.

#include <iosfwd>
#include <span>

#include "reference/attention/attention.hpp"
#include "reference/core/value_type.hpp"

namespace apb {

/// Shares of the budget that are used; right is at most 1 in each. NaN anywhere is wrong.
struct BudgetUse {
  double row = 0;       ///< of the worst row and head
  double all_rows = 0;  ///< 0 where there are fewer than 256 rows and heads
  double bias = 0;
  double lse = 0;
  Index worst_row = -1, worst_head = -1;
  bool special_values_right =
      true;  ///< rows without a key are exact, NaN is where the truth has it

  [[nodiscard]] bool is_right() const {
    return special_values_right && row <= 1 && all_rows <= 1 && bias <= 1 && lse <= 1;
  }
};

std::ostream& operator<<(std::ostream& stream, const BudgetUse& use);

/// Judges a candidate's out [rows, num_q_heads, head_dim] and lse [rows, num_q_heads] against the
/// double reference on the same inputs.
[[nodiscard]] BudgetUse budget_use(ValueType type, const HeadsView<const double>& query,
                                   std::span<const KeySegment<double>> segments,
                                   double softmax_scale, const HeadsTensor<double>& out,
                                   const Matrix<double>& lse);

}  // namespace apb
