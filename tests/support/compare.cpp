#include "tests/support/compare.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>

namespace apb {
namespace {

enum class NanRule { kNeverEqual, kEqualToNan };

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// |actual - expected|; infinite where only one is (or signs differ), NaN where a NaN is.
double abs_error(double actual, double expected, NanRule rule) {
  if (rule == NanRule::kEqualToNan && std::isnan(actual) && std::isnan(expected)) return 0;
  if (actual == expected) return 0;
  return std::abs(actual - expected);
}

double ratio(double error_norm, double expected_norm) {
  if (error_norm == 0) return 0;
  return error_norm / expected_norm;
}

template <class Actual, class Expected>
Comparison compare_spans(std::span<const Actual> actual, std::span<const Expected> expected,
                         NanRule rule) {
  Comparison result;
  result.same_shape = actual.size() == expected.size();
  if (!result.same_shape) {
    result.max_abs_error = result.relative_frobenius = kInfinity;
    return result;
  }
  result.count = std::ssize(actual);
  double error_squares = 0;
  double expected_squares = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const auto a = static_cast<double>(actual[i]);
    const auto e = static_cast<double>(expected[i]);
    const double error = abs_error(a, e, rule);
    error_squares += error * error;
    // An infinite expected value must not make every other error look relatively small.
    if (std::isfinite(e)) expected_squares += e * e;
    const bool first_nan = std::isnan(error) && !std::isnan(result.max_abs_error);
    if (result.worst_index < 0 || first_nan || error > result.max_abs_error) {
      result.max_abs_error = error;
      result.worst_index = static_cast<Index>(i);
      result.worst_actual = a;
      result.worst_expected = e;
    }
  }
  result.relative_frobenius = ratio(std::sqrt(error_squares), std::sqrt(expected_squares));
  return result;
}

template <class Scalar>
std::span<const Scalar> elements(const Matrix<Scalar>& matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

template <class A, class B>
bool same_shape(const Matrix<A>& a, const Matrix<B>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols();
}

template <class A, class B>
bool same_shape(const HeadsTensor<A>& a, const HeadsTensor<B>& b) {
  return a.rows() == b.rows() && a.heads() == b.heads() && a.head_dim() == b.head_dim();
}

Comparison with_shape(Comparison comparison, bool same) {
  if (!same) {
    comparison.same_shape = false;
    comparison.max_abs_error = comparison.relative_frobenius = kInfinity;
  }
  return comparison;
}

}  // namespace

bool operator<=(const Comparison& comparison, double tolerance) {
  return comparison.same_shape && comparison.max_abs_error <= tolerance;
}

std::ostream& operator<<(std::ostream& stream, const Comparison& comparison) {
  if (!comparison.same_shape) return stream << "different shapes";
  stream << "max error " << comparison.max_abs_error << ", relative Frobenius "
         << comparison.relative_frobenius << " over " << comparison.count << " elements";
  if (comparison.worst_index < 0) return stream;
  const auto digits = stream.precision(std::numeric_limits<double>::max_digits10);
  stream << ", worst at [" << comparison.worst_index << "]: " << comparison.worst_actual
         << " instead of " << comparison.worst_expected;
  stream.precision(digits);
  return stream;
}

template <class Actual, class Expected>
Comparison compare(std::span<const Actual> actual, std::span<const Expected> expected) {
  return compare_spans(actual, expected, NanRule::kNeverEqual);
}

template <class Actual, class Expected>
Comparison compare(const std::vector<Actual>& actual, const std::vector<Expected>& expected) {
  return compare(std::span<const Actual>(actual), std::span<const Expected>(expected));
}

template <class Actual, class Expected>
Comparison compare(const Matrix<Actual>& actual, const Matrix<Expected>& expected) {
  return with_shape(compare(elements(actual), elements(expected)), same_shape(actual, expected));
}

template <class Actual, class Expected>
Comparison compare(const HeadsTensor<Actual>& actual, const HeadsTensor<Expected>& expected) {
  return with_shape(compare(actual.values(), expected.values()), same_shape(actual, expected));
}

template <class Actual, class Expected>
Comparison compare_same_nan(std::span<const Actual> actual, std::span<const Expected> expected) {
  return compare_spans(actual, expected, NanRule::kEqualToNan);
}

template <class Actual, class Expected>
Comparison compare_same_nan(const Matrix<Actual>& actual, const Matrix<Expected>& expected) {
  return with_shape(compare_same_nan(elements(actual), elements(expected)),
                    same_shape(actual, expected));
}

template <class Scalar>
bool bit_equal(std::span<const Scalar> a, std::span<const Scalar> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

template <class Scalar>
bool bit_equal(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  return bit_equal(std::span<const Scalar>(a), std::span<const Scalar>(b));
}

template <class Scalar>
bool bit_equal(const Matrix<Scalar>& a, const Matrix<Scalar>& b) {
  return same_shape(a, b) && bit_equal(elements(a), elements(b));
}

template <class Scalar>
bool bit_equal(const HeadsTensor<Scalar>& a, const HeadsTensor<Scalar>& b) {
  return same_shape(a, b) && bit_equal(a.values(), b.values());
}

template <class Scalar>
bool bit_equal(const AttentionPartial<Scalar>& a, const AttentionPartial<Scalar>& b) {
  return bit_equal(a.out, b.out) && bit_equal(a.lse, b.lse);
}

#define APB_INSTANTIATE_COMPARE(Actual, Expected)                                           \
  template Comparison compare(std::span<const Actual>, std::span<const Expected>);          \
  template Comparison compare(const std::vector<Actual>&, const std::vector<Expected>&);    \
  template Comparison compare(const Matrix<Actual>&, const Matrix<Expected>&);              \
  template Comparison compare(const HeadsTensor<Actual>&, const HeadsTensor<Expected>&);    \
  template Comparison compare_same_nan(std::span<const Actual>, std::span<const Expected>); \
  template Comparison compare_same_nan(const Matrix<Actual>&, const Matrix<Expected>&)
APB_INSTANTIATE_COMPARE(double, double);
APB_INSTANTIATE_COMPARE(float, double);
APB_INSTANTIATE_COMPARE(float, float);
#undef APB_INSTANTIATE_COMPARE

#define APB_INSTANTIATE_BIT_EQUAL(Scalar)                                          \
  template bool bit_equal(std::span<const Scalar>, std::span<const Scalar>);       \
  template bool bit_equal(const std::vector<Scalar>&, const std::vector<Scalar>&); \
  template bool bit_equal(const Matrix<Scalar>&, const Matrix<Scalar>&);           \
  template bool bit_equal(const HeadsTensor<Scalar>&, const HeadsTensor<Scalar>&); \
  template bool bit_equal(const AttentionPartial<Scalar>&, const AttentionPartial<Scalar>&)
APB_INSTANTIATE_BIT_EQUAL(double);
APB_INSTANTIATE_BIT_EQUAL(float);
#undef APB_INSTANTIATE_BIT_EQUAL

}  // namespace apb
