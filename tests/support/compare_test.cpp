#include "tests/support/compare.hpp"

#include <cmath>
#include <limits>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

constexpr double kAnyTolerance = std::numeric_limits<double>::max();

using Values = std::vector<double>;

bool same_nan(const Values& a, const Values& b) {
  return compare_same_nan(std::span<const double>(a), std::span<const double>(b)) <= 0;
}

TEST_CASE("equal values compare as equal", "[compare]") {
  const Values values{1, -2, 0, 1e300, kInf, -kInf};
  const Comparison comparison = compare(values, values);
  CHECK(comparison <= 0);
  CHECK(comparison.count == 6);
  CHECK(comparison.max_abs_error == 0);
  CHECK(comparison.relative_frobenius == 0);
}

TEST_CASE("the worst element is named with both values", "[compare]") {
  const Comparison comparison = compare(Values{1, 2, 3.5, 4}, Values{1, 2.25, 3, 4});
  CHECK(comparison.max_abs_error == 0.5);
  CHECK(comparison.worst_index == 2);
  CHECK(comparison.worst_actual == 3.5);
  CHECK(comparison.worst_expected == 3);
  CHECK(comparison <= 0.5);
  CHECK_FALSE(comparison <= 0.499);
  std::ostringstream text;
  text << comparison;
  CHECK(text.str().find("[2]: 3.5 instead of 3") != std::string::npos);
}

TEST_CASE("relative Frobenius is error norm over expected norm", "[compare]") {
  CHECK(compare(Values{3, 0}, Values{0, 4}).relative_frobenius == 1.25);
  CHECK(compare(Values{0, 0}, Values{0, 0}).relative_frobenius == 0);
  CHECK(compare(Values{1, 0}, Values{0, 0}).relative_frobenius == kInf);
  // Equal infinities do not drown the error of their neighbours.
  CHECK(compare(Values{kInf, 3}, Values{kInf, 4}).relative_frobenius == 0.25);
}

TEST_CASE("NaN never passes, wherever it is", "[compare]") {
  const Values good{1, 2, 3};
  for (const std::size_t place : {0U, 1U, 2U}) {
    Values bad = good;
    bad[place] = kNan;
    CHECK_FALSE(compare(bad, good) <= kAnyTolerance);
    CHECK_FALSE(compare(good, bad) <= kAnyTolerance);
    CHECK_FALSE(compare(bad, bad) <= kAnyTolerance);
    CHECK_FALSE(compare(bad, good) <= kInf);
    CHECK_FALSE(compare(bad, good).relative_frobenius <= kInf);
    CHECK(compare(bad, good).worst_index == static_cast<Index>(place));
  }
  // Neither a larger nor an infinite error later on hides it.
  CHECK_FALSE(compare(Values{kNan, 9, kInf}, Values{1, 1, 1}) <= kInf);
  CHECK_FALSE(compare(Values{kInf, kNan}, Values{1, 1}) <= kInf);
}

TEST_CASE("NaN equals NaN only when asked for", "[compare]") {
  CHECK(same_nan({1, kNan}, {1, kNan}));
  CHECK_FALSE(same_nan({kNan, 1}, {1, kNan}));
  CHECK_FALSE(same_nan({1, kNan}, {1, 2}));
  CHECK_FALSE(same_nan({1, 2}, {1, kNan}));
  CHECK_FALSE(same_nan({1.5, kNan}, {1, kNan}));
  CHECK_FALSE(same_nan({kInf}, {kNan}));
}

TEST_CASE("infinities are equal to themselves only", "[compare]") {
  CHECK(compare(Values{kInf, -kInf}, Values{kInf, -kInf}) <= 0);
  CHECK_FALSE(compare(Values{kInf}, Values{-kInf}) <= kAnyTolerance);
  CHECK_FALSE(compare(Values{kInf}, Values{1e308}) <= kAnyTolerance);
  CHECK_FALSE(compare(Values{1e308}, Values{kInf}) <= kAnyTolerance);
  CHECK_FALSE(compare(Values{0}, Values{-kInf}) <= kAnyTolerance);
}

TEST_CASE("sign flips and pairs of negative values are told apart", "[compare]") {
  CHECK_FALSE(compare(Values{-1}, Values{1}) <= 1.9);
  CHECK(compare(Values{-1}, Values{1}) <= 2.0);
  CHECK_FALSE(compare(Values{-5, -5}, Values{-5, -7}) <= 1.9);
  CHECK_FALSE(compare(Values{-7, -5}, Values{-5, -5}) <= 1.9);
  CHECK(compare(Values{-5}, Values{-7}).max_abs_error == 2);
}

TEST_CASE("shapes must agree, not only sizes", "[compare]") {
  CHECK_FALSE(compare(Values{1, 2}, Values{1, 2, 3}) <= kInf);
  CHECK_FALSE(compare(Values{1, 2, 3}, Values{1, 2}) <= kInf);
  CHECK_FALSE(compare(Values{}, Values{0}) <= kInf);
  CHECK_FALSE(compare(Values{0}, Values{}) <= kInf);
  const Matrix<double> wide = Matrix<double>::Zero(2, 3);
  const Matrix<double> tall = Matrix<double>::Zero(3, 2);
  CHECK(compare(wide, wide) <= 0);
  CHECK_FALSE(compare(wide, tall) <= kInf);
  CHECK_FALSE(bit_equal(wide, tall));
  const HeadsTensor<double> tensor(2, 3, 4);
  CHECK(compare(tensor, tensor) <= 0);
  for (const auto& other : {HeadsTensor<double>(3, 2, 4), HeadsTensor<double>(2, 4, 3),
                            HeadsTensor<double>(1, 3, 4), HeadsTensor<double>()}) {
    CHECK_FALSE(compare(tensor, other) <= kInf);
    CHECK_FALSE(bit_equal(tensor, other));
  }
}

TEST_CASE("two empty results are equal, and count as nothing compared", "[compare]") {
  const Comparison comparison = compare(Values{}, Values{});
  CHECK(comparison <= 0);
  CHECK(comparison.count == 0);
  CHECK(comparison.worst_index == -1);
  CHECK_FALSE(compare(HeadsTensor<double>(0, 2, 4), HeadsTensor<double>(0, 4, 2)) <= kInf);
}

TEST_CASE("a shift by one place is seen", "[compare]") {
  Values values;
  for (int i = 0; i < 100; ++i) values.push_back(i);
  Values shifted(values.begin() + 1, values.end());
  shifted.push_back(100);
  CHECK_FALSE(compare(shifted, values) <= 0.5);
  CHECK(compare(shifted, values).max_abs_error == 1);
}

TEST_CASE("float is compared in double", "[compare]") {
  const std::vector<float> rounded{0.1F};
  CHECK(compare(rounded, Values{0.1}).max_abs_error == static_cast<double>(0.1F) - 0.1);
}

TEST_CASE("bit_equal looks at bits", "[compare]") {
  CHECK(bit_equal(Values{1, kNan, kInf}, Values{1, kNan, kInf}));
  CHECK_FALSE(bit_equal(Values{0.0}, Values{-0.0}));
  CHECK_FALSE(bit_equal(Values{1}, Values{std::nextafter(1.0, 2.0)}));
  CHECK_FALSE(bit_equal(Values{1}, Values{1, 1}));
  CHECK(bit_equal(Values{}, Values{}));
  AttentionPartial<double> partial(1, 1, 2);
  partial.lse.setZero();
  AttentionPartial<double> other = partial;
  CHECK(bit_equal(partial, other));
  other.lse(0, 0) = -0.0;
  CHECK_FALSE(bit_equal(partial, other));
}

}  // namespace
}  // namespace apb
