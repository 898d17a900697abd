#include "reference/verify/budget.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace apb {
namespace {

constexpr double kBiasAllowed = 0.3;  ///< last places
constexpr Index kNumbersForBias = 1024;

double square(double value) {
  return value * value;
}

bool is_16_bit(ValueType type) {
  return type == ValueType::kBfloat16 || type == ValueType::kFloat16;
}

/// The square sum of what rounding the true output to its type changes.
double rounding_square(const double* out, Index head_dim, ValueType type) {
  double sum = 0;
  for (Index d = 0; d < head_dim; ++d) sum += square(element_error(round_to(type, out[d]), out[d]));
  return sum;
}

double finite_norm(const double* values, Index count) {
  double sum = 0;
  for (Index d = 0; d < count; ++d) sum += std::isfinite(values[d]) ? square(values[d]) : 0;
  return std::sqrt(sum);
}

struct RowTolerance {
  double out = 0;
  double out_mean_square = 0;
  double lse = 0;
  bool shows_bias = false;
};

/// The formulas of budget.hpp.
RowTolerance row_tolerance(const RowSizes& sizes, const double* out, Index head_dim,
                           const Precision& precision) {
  if (sizes.keys == 0) return {};  // sees nothing
  const auto d = static_cast<double>(head_dim);
  const ValueType type = precision.out_type;
  const double a = std::max(0.0, precision.exp_accuracy - kExpAccuracy);
  const double w_fp32 =
      0x1p-21 * ((1 + d / 64) * sizes.score + std::log(sizes.keys)) + 3 * sizes.sum_error;
  const double norm = finite_norm(out, head_dim);
  const double sigma = sizes.values + norm;
  const double weights = std::max(sizes.weights_apart, sizes.weights_alike);
  const double output = (unit_roundoff(type) + 0x1p-27 * sizes.keys) * norm;
  const double floor = 0x1p-22 * sizes.largest_value + std::sqrt(d) * half_place(type, 0);

  RowTolerance row;
  row.lse = w_fp32 + a;
  row.out = 2.5 * (weights + output) + row.lse * sigma + floor;
  row.out_mean_square = std::max(square(sizes.weights_apart) / 3, square(sizes.weights_alike) / 2) +
                        std::max(square(output) / 3, 2 * rounding_square(out, head_dim, type)) +
                        square(w_fp32 * sigma / 4) + square(a * sigma) + square(floor / 4);
  row.shows_bias = is_16_bit(type) && sizes.weights_apart <= 4 * unit_roundoff(type) * norm &&
                   sizes.weights_alike <= 2 * sizes.weights_apart;
  return row;
}

/// Keeps the check with the largest share of its tolerance; the first NaN wins over everything.
void keep_worst(BudgetCheck& kept, double error, double tolerance, const WorstPlace& place) {
  const double share = budget_share(error, tolerance);
  const double worst = budget_share(kept.error, kept.tolerance);
  const bool first = kept.worst.row < 0;
  const bool first_nan = std::isnan(share) && !std::isnan(worst);
  if (first || first_nan || share > worst) {
    kept.error = error;
    kept.tolerance = tolerance;
    kept.worst = place;
  }
}

/// The element of a row that is off most.
WorstPlace worst_element(const double* candidate, const double* truth, Index head_dim,
                         WorstPlace place) {
  double worst = -1;
  for (Index d = 0; d < head_dim; ++d) {
    const double error = element_error(candidate[d], truth[d]);
    if (std::isnan(worst) || !(error > worst || std::isnan(error))) continue;
    worst = error;
    place.element = d;
    place.candidate = candidate[d];
    place.reference = truth[d];
  }
  return place;
}

/// Means over elements of an error towards the truth's sign, in last places, each cut to -1 and 1:
/// so that a few elements far off do not hide all the others. The same number, met again, counts
/// once: rows that are alike round alike.
class Bias {
 public:
  explicit Bias(ValueType type) : type_(type), met_(kMet, 0) {}

  void add_row(const double* candidate, const double* truth, Index head_dim) {
    ++rows_;
    for (Index d = 0; d < head_dim; ++d) {
      if (truth[d] == 0 || !std::isfinite(truth[d]) || !std::isfinite(candidate[d])) continue;
      if (was_met(static_cast<float>(truth[d]))) continue;
      sum_ += places(candidate[d], truth[d]);
      rounding_sum_ += places(round_to(type_, truth[d]), truth[d]);
      ++count_;
    }
  }

  [[nodiscard]] bool says_something() const {
    return rows_ >= kPairsForSums && count_ >= kNumbersForBias;
  }

  [[nodiscard]] BudgetCheck check() const {
    const auto count = static_cast<double>(count_);
    const double mean = sum_ / count;
    const double rounding = rounding_sum_ / count;
    const double beyond =
        std::max({mean - std::max(rounding, 0.0), std::min(rounding, 0.0) - mean, 0.0});
    return {kOutBias, beyond, kBiasAllowed, {-1, -1, -1, mean, rounding}};
  }

 private:
  static constexpr std::size_t kMet = 1 << 16;

  /// Remembers one number for each place of a table.
  bool was_met(float number) {
    const auto bits = std::bit_cast<std::uint32_t>(number);
    float& place = met_[bits * 2654435761U >> 16];
    if (place == number) return true;
    place = number;
    return false;
  }

  [[nodiscard]] double places(double value, double truth) const {
    const double error = (value - truth) / (2 * half_place(type_, truth));
    return std::clamp(std::copysign(1.0, truth) * error, -1.0, 1.0);
  }

  ValueType type_;
  std::vector<float> met_;
  double sum_ = 0;
  double rounding_sum_ = 0;
  Index count_ = 0;
  Index rows_ = 0;
};

void check_out(const HeadsTensor<double>& out, const AttentionRows& truth,
               const Tolerances& tolerances, ValueType type, std::vector<BudgetCheck>& checks) {
  BudgetCheck worst_row{kOutWorstRow, 0, 0, {}};
  double square_sum = 0;
  Bias bias(type);
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index h = 0; h < out.heads(); ++h) {
      const double* candidate = out.view().at(i, h);
      const double* expected = truth.out.view().at(i, h);
      const double error = row_error(candidate, expected, out.head_dim());
      const WorstPlace place{truth.rows[static_cast<std::size_t>(i)],
                             truth.heads[static_cast<std::size_t>(h)], -1, 0, 0};
      keep_worst(worst_row, error, tolerances.out(i, h),
                 worst_element(candidate, expected, out.head_dim(), place));
      square_sum += square(error);
      if (tolerances.shows_bias(i, h)) bias.add_row(candidate, expected, out.head_dim());
    }
  }
  checks.push_back(worst_row);
  if (out.rows() * out.heads() < kPairsForSums) return;
  checks.push_back({kOutAllRows, std::sqrt(square_sum), std::sqrt(tolerances.out_mean_square.sum()),
                    worst_row.worst});
  if (bias.says_something()) checks.push_back(bias.check());
}

BudgetCheck check_lse(const Matrix<double>& lse, const AttentionRows& truth,
                      const Tolerances& tolerances) {
  BudgetCheck check{kLse, 0, 0, {}};
  for (Index i = 0; i < lse.rows(); ++i) {
    for (Index h = 0; h < lse.cols(); ++h) {
      keep_worst(check, element_error(lse(i, h), truth.lse(i, h)), tolerances.lse(i, h),
                 {truth.rows[static_cast<std::size_t>(i)], truth.heads[static_cast<std::size_t>(h)],
                  -1, lse(i, h), truth.lse(i, h)});
    }
  }
  return check;
}

}  // namespace

bool BudgetCheck::pass() const {
  return within(error, tolerance);
}

double element_error(double candidate, double reference) {
  if (std::isnan(candidate) && std::isnan(reference)) return 0;
  if (candidate == reference) return 0;
  return std::abs(candidate - reference);
}

double row_error(const double* candidate, const double* reference, Index head_dim) {
  double sum = 0;
  for (Index d = 0; d < head_dim; ++d) sum += square(element_error(candidate[d], reference[d]));
  return std::sqrt(sum);
}

double budget_share(double error, double tolerance) {
  if (error == 0) return 0;
  if (!std::isfinite(tolerance)) return std::numeric_limits<double>::infinity();
  return error / tolerance;
}

bool within(double error, double tolerance) {
  return std::isfinite(tolerance) && error <= tolerance;
}

double unit_roundoff(ValueType type) {
  return half_place(type == ValueType::kFloat64 ? ValueType::kFloat32 : type, 1);
}

Tolerances attention_tolerances(const MeasuredAttention& measured, const Precision& precision) {
  const HeadsTensor<double>& out = measured.truth.out;
  Tolerances tolerances;
  tolerances.shows_bias.resize(out.rows(), out.heads());
  for (auto* matrix : {&tolerances.out, &tolerances.out_mean_square, &tolerances.lse}) {
    matrix->resize(out.rows(), out.heads());
  }
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index h = 0; h < out.heads(); ++h) {
      const RowSizes& sizes = measured.sizes[static_cast<std::size_t>(i * out.heads() + h)];
      const RowTolerance row = row_tolerance(sizes, out.view().at(i, h), out.head_dim(), precision);
      tolerances.out(i, h) = row.out;
      tolerances.out_mean_square(i, h) = row.out_mean_square;
      tolerances.lse(i, h) = row.lse;
      tolerances.shows_bias(i, h) = row.shows_bias;
    }
  }
  return tolerances;
}

std::vector<BudgetCheck> check_attention(const HeadsTensor<double>& out, const Matrix<double>& lse,
                                         const AttentionRows& truth, const Tolerances& tolerances,
                                         ValueType out_type) {
  const HeadsTensor<double>& expected = truth.out;
  const bool out_fits = out.rows() == expected.rows() && out.heads() == expected.heads() &&
                        out.head_dim() == expected.head_dim();
  const bool lse_fits = lse.rows() == truth.lse.rows() && lse.cols() == truth.lse.cols();
  if ((out.rows() > 0 && !out_fits) || (lse.rows() > 0 && !lse_fits)) {
    throw std::invalid_argument("check_attention: shapes differ");
  }
  std::vector<BudgetCheck> checks;
  if (out.rows() > 0) check_out(out, truth, tolerances, out_type, checks);
  if (lse.rows() > 0) checks.push_back(check_lse(lse, truth, tolerances));
  return checks;
}

}  // namespace apb
