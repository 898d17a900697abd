#include "reference/verify/rounding_sizes.hpp"

#include <algorithm>
#include <cmath>

namespace apb {
namespace {

/// Nearest numbers of a narrower format, for many at once. x + c - c rounds x to the distance of
/// floats of c's size; x - (x + x 2^k - x 2^k) does so relatively (Veltkamp). This file must be
/// compiled without contraction or reassociation.
template <class Array>
Array rounded_to(ValueType type, const Array& x) {
  const auto to_bits = [&x](float factor) -> Array {
    const Array large = factor * x;
    return large - (large - x);
  };
  if (type == ValueType::kBfloat16) return to_bits(0x1p16F + 1);
  constexpr float kSpacing = 0.75F;  // floats of this size are 2^-24 apart, as small halves are
  return (x < 0x1p-14F).select((x + kSpacing) - kSpacing, to_bits(0x1p13F + 1));
}

bool is_narrow(ValueType type) {
  return type == ValueType::kBfloat16 || type == ValueType::kFloat16;
}

}  // namespace

RowSizesSum::RowSizesSum(ValueType type)
    : type_(is_narrow(type) ? type : ValueType::kFloat32),
      unit_(half_place(type_, 1)),
      least_(half_place(type_, 0)) {
  for (int i = 0; i < kFactors; ++i) factors_[i] = std::exp2(static_cast<float>(i) / kFactors);
}

void RowSizesSum::add(const Eigen::Ref<const Eigen::RowVectorXd>& weights,
                      const Eigen::Ref<const Eigen::RowVectorXd>& value_norms) {
  keys_ += static_cast<double>(weights.size());
  weights_ += weights.sum();
  values_ += weights.dot(value_norms);
  if (weights.size() > 0) largest_value_ = std::max(largest_value_, value_norms.maxCoeff());
  apart_square_ +=
      ((unit_ * weights.array()).max(least_).min(weights.array()) * value_norms.array())
          .square()
          .sum();
  const bool narrow = is_narrow(type_);
  for (Index j = 0; j < weights.size(); ++j) {
    const Factors weight = factors_ * static_cast<float>(weights[j]);
    sums_ += weight;
    if (narrow) {
      alike_ += (rounded_to(type_, weight) - weight) * static_cast<float>(value_norms[j]);
    }
  }
}

RowSizes RowSizesSum::finish(double score) const {
  if (!(weights_ > 0)) return {};
  RowSizes sizes;
  sizes.keys = keys_;
  sizes.score = std::max(1.0, score);
  sizes.values = values_ / weights_;
  sizes.largest_value = largest_value_;
  sizes.weights_apart = std::sqrt(apart_square_) / weights_;
  const auto factors = factors_.cast<double>();
  sizes.weights_alike = (alike_.cast<double>() / factors).abs().maxCoeff() / weights_;
  sizes.sum_error = (sums_.cast<double>() / (factors * weights_) - 1).abs().maxCoeff();
  return sizes;
}

}  // namespace apb
