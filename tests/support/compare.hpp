#pragma once
/// \file
/// Compares results with what they should be. Every test's verdict goes through here, and
/// compare_test.cpp shows that it can say no.
///
/// Usage: CHECK(compare(actual, expected) <= tolerance); a failure prints the worst element.

#include <iosfwd>
#include <span>
#include <vector>

#include "reference/attention/attention.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// How far `actual` is from `expected`. NaN anywhere (but see compare_same_nan) makes both errors
/// NaN, so that `error <= tolerance` fails. Infinities are equal (error 0) or infinitely far.
struct Comparison {
  bool same_shape = true;
  Index count = 0;                ///< elements compared
  double max_abs_error = 0;       ///< max |actual - expected|
  double relative_frobenius = 0;  ///< |actual - expected|_2 / |expected|_2; 0 if both are zero
  Index worst_index = -1;         ///< of the largest error in storage order; -1: no element
  double worst_actual = 0;
  double worst_expected = 0;
};

/// Whether shapes agree and the largest error is at most `tolerance`.
[[nodiscard]] bool operator<=(const Comparison& comparison, double tolerance);

/// What Catch2 prints of a failed comparison.
std::ostream& operator<<(std::ostream& stream, const Comparison& comparison);

/// Element by element, in double.
template <class Actual, class Expected>
[[nodiscard]] Comparison compare(std::span<const Actual> actual,
                                 std::span<const Expected> expected);
template <class Actual, class Expected>
[[nodiscard]] Comparison compare(const std::vector<Actual>& actual,
                                 const std::vector<Expected>& expected);
template <class Actual, class Expected>
[[nodiscard]] Comparison compare(const Matrix<Actual>& actual, const Matrix<Expected>& expected);
template <class Actual, class Expected>
[[nodiscard]] Comparison compare(const HeadsTensor<Actual>& actual,
                                 const HeadsTensor<Expected>& expected);

/// As compare, but NaN in both at the same place counts as equal.
template <class Actual, class Expected>
[[nodiscard]] Comparison compare_same_nan(std::span<const Actual> actual,
                                          std::span<const Expected> expected);
template <class Actual, class Expected>
[[nodiscard]] Comparison compare_same_nan(const Matrix<Actual>& actual,
                                          const Matrix<Expected>& expected);

/// Same shape and the same bits: -0 differs from +0, a NaN equals the very same NaN.
template <class Scalar>
[[nodiscard]] bool bit_equal(std::span<const Scalar> a, std::span<const Scalar> b);
template <class Scalar>
[[nodiscard]] bool bit_equal(const std::vector<Scalar>& a, const std::vector<Scalar>& b);
template <class Scalar>
[[nodiscard]] bool bit_equal(const Matrix<Scalar>& a, const Matrix<Scalar>& b);
template <class Scalar>
[[nodiscard]] bool bit_equal(const HeadsTensor<Scalar>& a, const HeadsTensor<Scalar>& b);
template <class Scalar>
[[nodiscard]] bool bit_equal(const AttentionPartial<Scalar>& a, const AttentionPartial<Scalar>& b);

}  // namespace apb
