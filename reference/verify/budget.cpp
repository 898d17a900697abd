#include "reference/verify/budget.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace apb {
namespace {

/// Keeps the largest error; the first NaN wins over everything.
void keep_worst(NormError& kept, double error, const WorstPlace& place) {
  const bool first = kept.worst.row < 0;
  const bool first_nan = std::isnan(error) && !std::isnan(kept.error);
  if (first || first_nan || error > kept.error) kept = {error, place};
}

double finite_square(double value) {
  return std::isfinite(value) ? value * value : 0;
}

void measure_out(const HeadsTensor<double>& out, const AttentionRows& reference,
                 AttentionErrors& errors) {
  const Index head_dim = out.head_dim();
  double error_squares = 0;
  double reference_squares = 0;
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index h = 0; h < out.heads(); ++h) {
      const double* candidate = out.view().at(i, h);
      const double* truth = reference.out.view().at(i, h);
      WorstPlace place{reference.rows[static_cast<std::size_t>(i)],
                       reference.heads[static_cast<std::size_t>(h)], -1, 0, 0};
      NormError in_row;
      for (Index d = 0; d < head_dim; ++d) {
        const double error = element_error(candidate[d], truth[d]);
        error_squares += error * error;
        reference_squares += finite_square(truth[d]);
        place.element = d;
        place.candidate = candidate[d];
        place.reference = truth[d];
        keep_worst(in_row, error, place);
      }
      if (head_dim == 0) continue;
      keep_worst(errors.max, in_row.error, in_row.worst);
      keep_worst(errors.worst_row, row_error(candidate, truth, head_dim), in_row.worst);
    }
  }
  errors.frobenius.worst = errors.max.worst;
  errors.frobenius.error =
      error_squares == 0 ? 0 : std::sqrt(error_squares) / std::sqrt(reference_squares);
}

void measure_lse(const Matrix<double>& lse, const AttentionRows& reference,
                 AttentionErrors& errors) {
  for (Index i = 0; i < lse.rows(); ++i) {
    for (Index h = 0; h < lse.cols(); ++h) {
      keep_worst(
          errors.lse, element_error(lse(i, h), reference.lse(i, h)),
          {reference.rows[static_cast<std::size_t>(i)],
           reference.heads[static_cast<std::size_t>(h)], -1, lse(i, h), reference.lse(i, h)});
    }
  }
}

double max_abs(const HeadsTensor<double>& tensor) {
  double largest = 0;
  for (const double value : tensor.values()) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

}  // namespace

double element_error(double candidate, double reference) {
  if (std::isnan(candidate) && std::isnan(reference)) return 0;
  if (candidate == reference) return 0;
  return std::abs(candidate - reference);
}

double row_error(const double* candidate, const double* reference, Index head_dim) {
  double error_squares = 0;
  double reference_squares = 0;
  for (Index d = 0; d < head_dim; ++d) {
    const double error = element_error(candidate[d], reference[d]);
    error_squares += error * error;
    reference_squares += finite_square(reference[d]);
  }
  // x / 0 is infinite: a row whose reference is zero must match exactly.
  return error_squares == 0 ? 0 : std::sqrt(error_squares) / std::sqrt(reference_squares);
}

AttentionErrors attention_errors(const HeadsTensor<double>& out, const Matrix<double>& lse,
                                 const AttentionRows& reference) {
  const HeadsTensor<double>& expected = reference.out;
  const bool out_fits = out.rows() == expected.rows() && out.heads() == expected.heads() &&
                        out.head_dim() == expected.head_dim();
  const bool lse_fits = lse.rows() == reference.lse.rows() && lse.cols() == reference.lse.cols();
  if ((out.rows() > 0 && !out_fits) || (lse.rows() > 0 && !lse_fits)) {
    throw std::invalid_argument("attention_errors: shapes differ");
  }
  AttentionErrors errors;
  measure_out(out, reference, errors);
  measure_lse(lse, reference, errors);
  return errors;
}

Tolerances attention_tolerances(const AttentionRows& reference, const AttentionRows& plain,
                                ValueType out_type) {
  const AttentionErrors error = attention_errors(plain.out, plain.lse, reference);
  const double largest_score = std::max(1.0, reference.max_abs_score);
  const double w = unit_roundoff(out_type) + 0x1.0p-22 * largest_score;
  return {2 * error.max.error + w * max_abs(reference.out), 2 * error.frobenius.error + w,
          2 * error.worst_row.error + w, 2 * error.lse.error + 0x1.0p-21 * largest_score};
}

double unit_roundoff(ValueType type) {
  switch (type) {
    case ValueType::kBfloat16:
      return 0x1.0p-9;
    case ValueType::kFloat16:
      return 0x1.0p-12;
    case ValueType::kFloat32:
    case ValueType::kFloat64:
      break;
  }
  return 0x1.0p-24;
}

bool within(double error, double tolerance) {
  return std::isfinite(tolerance) && error <= tolerance;
}

}  // namespace apb
