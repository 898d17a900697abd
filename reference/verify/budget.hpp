#pragma once
/// \file
/// The error budget: how far out and lse of a candidate may be from the double reference on the
/// same inputs. It follows, row by row, from what rounding does to that row (docs/contracts.md,
/// "Error budget", has the reasons and what was tried).
///
/// Per query row and head: p the true weights, v the values, o the true output, e the error, n the
/// keys that the row sees, d the head_dim; u = 2^-8 (bfloat16), 2^-11 (float16), 2^-24 (float32),
/// u_P of the weights' type, u_out of the output's. RowSizes has the rest.
///
///   w      = 2^-21 ((1 + d / 64) score + ln n) + 3 sum_error + a
///            what a weight, or the sum of the weights, may be off by, relatively: fp32 rounds
///            products, scale, maximum and difference; a tensor core cuts off every eighth sum of a
///            dot product; sums grow with ln n; a is the declared exp_accuracy beyond 2^-22
///   P      = max(weights_apart, weights_alike), what rounding the weights does
///   O      = (u_out + 2^-27 n) |o|, what rounding the output does, and cutting off the n / 8
///            partial sums of the product with the values
///   sigma  = sum p |v| + |o|, what relative errors of the weights are multiplied by
///   floor  = 2^-22 max |v|, which fp32 loses where an earlier output is rescaled away;
///            and sqrt(d) times half the least number of the output's type
///
///   out worst row   |e| <= 2.5 (P + O) + w sigma + floor, in every row
///   out all rows    sum |e|^2 <= sum of mean squares, from 256 (row, head) pairs on, where
///                   a row's mean square is max(weights_apart^2 / 3, weights_alike^2 / 2) +
///                   max(O^2 / 3, 2 |round(o) - o|^2) + ((w - a) sigma / 4)^2 + (a sigma)^2 +
///                   (floor / 4)^2
///   out bias        mean of e towards o, in last places, each within -1 and 1: at most 0.3 beyond
///                   what lies between 0 and the mean of round(o) - o. Cutting off gives -0.5. For
///                   16-bit outputs, over rows where rounding the weights does not hide it:
///                   weights_apart <= 4 u_out |o|, weights_alike <= 2 weights_apart; from 256 such
///                   pairs and 1,024 different numbers on
///   lse             |error| <= w, in every row
///
/// A row that sees nothing must match exactly. Where the reference is NaN, so must the candidate
/// be, and where it is infinite, equal to it; these elements count as no error. Every check is
/// `error <= tolerance`, so that NaN fails; a tolerance that is not finite fails too.

#include <string_view>
#include <vector>

#include "reference/core/case/candidate_file.hpp"
#include "reference/core/matrix.hpp"
#include "reference/verify/truth.hpp"

namespace apb {

/// Sums over all rows say nothing of fewer (row, head) pairs.
inline constexpr Index kPairsForSums = 256;

/// Where an error is largest, and the two values. element is -1 where a whole row is meant.
struct WorstPlace {
  Index row = -1;   ///< of the rank's rows
  Index head = -1;  ///< query head
  Index element = -1;
  double candidate = 0;
  double reference = 0;
};

/// What is allowed, [rows, heads].
struct Tolerances {
  Matrix<double> out;              ///< of |e|
  Matrix<double> out_mean_square;  ///< of |e|^2, in the sum over all rows
  Matrix<double> lse;
  Matrix<bool> shows_bias;  ///< whether a row counts in the bias
};

[[nodiscard]] Tolerances attention_tolerances(const MeasuredAttention& measured,
                                              const Precision& precision);

inline constexpr std::string_view kOutWorstRow = "out worst row";
inline constexpr std::string_view kOutAllRows = "out all rows";
inline constexpr std::string_view kOutBias = "out bias";
inline constexpr std::string_view kLse = "lse";

/// One line of the rules above.
struct BudgetCheck {
  std::string_view name;  ///< one of those above
  double error = 0;
  double tolerance = 0;
  WorstPlace worst;  ///< of the bias: no place, the two means as values

  [[nodiscard]] bool pass() const;
};

/// Checks of out, [rows, heads, head_dim], and lse, [rows, heads], against the truth of the same
/// rows and heads. An empty tensor or matrix is not checked.
/// \throws std::invalid_argument if another shape is given
[[nodiscard]] std::vector<BudgetCheck> check_attention(const HeadsTensor<double>& out,
                                                       const Matrix<double>& lse,
                                                       const AttentionRows& truth,
                                                       const Tolerances& tolerances,
                                                       ValueType out_type);

/// |a - b| with the rules above: 0 where both are NaN or equal.
[[nodiscard]] double element_error(double candidate, double reference);

/// |e| of one row and head of out.
[[nodiscard]] double row_error(const double* candidate, const double* reference, Index head_dim);

/// An error in units of its tolerance: at most 1 where it is within, infinite or NaN where nothing
/// is allowed.
[[nodiscard]] double budget_share(double error, double tolerance);

/// error <= tolerance, with both finite.
[[nodiscard]] bool within(double error, double tolerance);

/// u of the list above.
[[nodiscard]] double unit_roundoff(ValueType type);

}  // namespace apb
