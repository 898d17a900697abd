#pragma once
/// \file
/// What rounding can do to one row of attention: the sizes that its error budget (budget.hpp) is
/// made of, taken from the row's true weights and values.

#include "reference/core/matrix.hpp"
#include "reference/core/value_type.hpp"

namespace apb {

/// Of one query row and head. P_j = exp(score_j - max) is the weight of key j before the division
/// by l = sum_j P_j, p_j = P_j / l after it, |v_j| the norm of its value. All are 0 for a row that
/// sees nothing, or whose lse is no number.
struct RowSizes {
  double keys = 0;           ///< that the row sees
  double score = 0;          ///< largest softmax_scale sum_d |q_d k_d| of a key that it sees, or 1
  double values = 0;         ///< sum_j p_j |v_j|
  double largest_value = 0;  ///< largest |v_j|
  /// What rounding each P_j to its type costs if every one is off on its own:
  /// sqrt(sum_j (h_j |v_j|)^2) / l, h_j half a last place of P_j, at worst.
  double weights_apart = 0;
  /// And what it costs where weights round alike (equal scores, scores closer together than a last
  /// place): the most of |sum_j (round(P_j f) / f - P_j) |v_j|| / l over eight factors f from 1 to
  /// 2, as kernels shift by a maximum that is not always the row's.
  double weights_alike = 0;
  /// Relative error of an fp32 sum of the P_j f in key order, the worst of the same factors.
  double sum_error = 0;
};

/// Takes a row's weights in, stretch of keys by stretch.
class RowSizesSum {
 public:
  /// \param type of P; float64 counts as float32
  explicit RowSizesSum(ValueType type);

  /// \param weights     P of keys that the row sees
  /// \param value_norms |v| of the same keys, over the elements that are finite
  void add(const Eigen::Ref<const Eigen::RowVectorXd>& weights,
           const Eigen::Ref<const Eigen::RowVectorXd>& value_norms);

  /// \param score of RowSizes, without the 1
  [[nodiscard]] RowSizes finish(double score) const;

 private:
  static constexpr int kFactors = 8;
  using Factors = Eigen::Array<float, kFactors, 1>;

  ValueType type_;
  double unit_;      ///< half a last place of 1
  double least_;     ///< half the distance of the numbers next to 0
  Factors factors_;  ///< 1 to 2
  double keys_ = 0;
  double weights_ = 0, values_ = 0, largest_value_ = 0, apart_square_ = 0;
  Factors alike_ = Factors::Zero();
  Factors sums_ = Factors::Zero();
};

}  // namespace apb
