// The comparison can say no: to NaN, infinities, signs, rows of zero, and by each of its checks.

#include "reference/verify/budget.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

/// One head, head_dim 2, rows of values.
AttentionRows reference_of(const std::vector<double>& values, const std::vector<double>& lse) {
  AttentionRows rows;
  rows.rows = count_up(std::ssize(lse));
  rows.heads = {0};
  rows.out = HeadsTensor<double>(std::ssize(lse), 1, 2);
  rows.out.values() = values;
  rows.lse = Eigen::Map<const Matrix<double>>(lse.data(), std::ssize(lse), 1);
  return rows;
}

/// The same tolerances for all rows.
Tolerances allowed(Index rows, double out, double lse) {
  return {Matrix<double>::Constant(rows, 1, out), Matrix<double>::Constant(rows, 1, out * out),
          Matrix<double>::Constant(rows, 1, lse), Matrix<bool>::Constant(rows, 1, true)};
}

/// "out worst row" and "lse" of a candidate.
std::vector<BudgetCheck> checks_of(const std::vector<double>& candidate,
                                   const std::vector<double>& lse, const AttentionRows& reference,
                                   const Tolerances& tolerances) {
  const AttentionRows other = reference_of(candidate, lse);
  return check_attention(other.out, other.lse, reference, tolerances, ValueType::kFloat32);
}

TEST_CASE("element_error: equal, NaN, infinities and signs", "[verify]") {
  CHECK(element_error(1, 1) == 0);
  CHECK(element_error(0.0, -0.0) == 0);
  CHECK(element_error(kNan, kNan) == 0);
  CHECK(element_error(kInf, kInf) == 0);
  CHECK(element_error(-kInf, -kInf) == 0);
  CHECK(element_error(-2, -3) == 1);
  CHECK(element_error(-2, 2) == 4);
  CHECK(std::isnan(element_error(kNan, 1)));
  CHECK(std::isnan(element_error(1, kNan)));
  CHECK(element_error(kInf, 1) == kInf);
  CHECK(element_error(1, -kInf) == kInf);
  CHECK(!within(element_error(kInf, -kInf), 1e300));
}

TEST_CASE("within: NaN fails, a tolerance that is not finite fails", "[verify]") {
  CHECK(within(0, 0));
  CHECK(within(1, 1));
  CHECK(!within(std::nextafter(1.0, 2.0), 1));
  CHECK(!within(kNan, 1));
  CHECK(!within(kInf, 1));
  CHECK(!within(0, kNan));
  CHECK(!within(kInf, kInf));
}

TEST_CASE("each row has its own tolerance: the worst is the largest share of it", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 0.3, -0.4}, {1, 2});
  Tolerances tolerances = allowed(2, 1, 1);
  tolerances.out(1, 0) = 0.05;
  const auto checks = checks_of({3, 4.5, 0.3, -0.3}, {1, 1.75}, reference, tolerances);
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].name == kOutWorstRow);
  CHECK(!checks[0].pass());
  CHECK(std::abs(checks[0].error - 0.1) <= 1e-12);  // 0.1 of 0.05, not 0.5 of 1
  CHECK(checks[0].tolerance == 0.05);
  CHECK(checks[0].worst.row == 1);
  CHECK(checks[0].worst.element == 1);
  CHECK(checks[0].worst.candidate == -0.3);
  CHECK(checks[0].worst.reference == -0.4);
  CHECK(checks[1].name == kLse);
  CHECK(checks[1].pass());
  CHECK(checks[1].error == 0.25);
  CHECK(checks[1].worst.row == 1);
}

TEST_CASE("a NaN or infinity that should not be there fails", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 1, 2}, {1, 2});
  for (const double bad : {kNan, kInf, -kInf}) {
    const auto checks = checks_of({3, 4, bad, 2}, {bad, 2}, reference, allowed(2, 1e9, 1e9));
    CHECK(!checks[0].pass());
    CHECK(!checks[1].pass());
    CHECK(checks[0].worst.row == 1);
    CHECK(checks[1].worst.row == 0);
  }
}

TEST_CASE("NaN in the reference wants NaN in the candidate, and only there", "[verify]") {
  const AttentionRows reference = reference_of({kNan, 4, 1, 2}, {kNan, -kInf});
  const auto pass = [&](const std::vector<double>& out, const std::vector<double>& lse) {
    const auto checks = checks_of(out, lse, reference, allowed(2, 1e9, 1e9));
    return std::array{checks[0].pass(), checks[1].pass()};
  };
  CHECK(pass({kNan, 4, 1, 2}, {kNan, -kInf}) == std::array{true, true});
  CHECK(pass({0, 4, 1, 2}, {kNan, -kInf}) == std::array{false, true});
  CHECK(pass({kNan, 4, 1, 2}, {0, -kInf}) == std::array{true, false});
  CHECK(pass({kNan, 4, 1, 2}, {kNan, kInf}) == std::array{true, false});
  CHECK(pass({kNan, 4, 1, 2}, {kNan, -1e30}) == std::array{true, false});
}

TEST_CASE("a row of which nothing is allowed must match exactly", "[verify]") {
  const AttentionRows reference = reference_of({0, 0, 1, 2}, {-kInf, 2});
  CHECK(checks_of({0, -0.0, 1, 2}, {-kInf, 2}, reference, allowed(2, 0, 0))[0].pass());
  CHECK(!checks_of({0, 1e-30, 1, 2}, {-kInf, 2}, reference, allowed(2, 0, 0))[0].pass());
}

/// 1,024 rows of numbers around a value, all different, that bfloat16 stores as that value.
struct ManyRows {
  AttentionRows truth;
  AttentionRows candidate;

  explicit ManyRows(double value, Index rows = 1024)
      : truth(reference_of(std::vector<double>(static_cast<std::size_t>(2 * rows), value),
                           std::vector<double>(static_cast<std::size_t>(rows), 0))) {
    double step = 0;
    for (double& element : truth.out.values()) element *= 1 + 0x1p-22 * ++step;
    candidate = truth;
  }

  [[nodiscard]] std::vector<BudgetCheck> checks(double tolerance) const {
    return check_attention(candidate.out, {}, truth, allowed(candidate.out.rows(), tolerance, 0),
                           ValueType::kBfloat16);
  }
};

TEST_CASE("all rows together: a little less than their mean square passes, a little more does not",
          "[verify]") {
  ManyRows rows(1);
  const auto all_rows_pass = [&](double off) {
    rows.candidate = rows.truth;
    for (double& element : rows.candidate.out.values()) element += off / std::sqrt(2.0);
    const auto checks = rows.checks(0.1);
    REQUIRE(checks.size() == 3);
    CHECK(checks[1].name == kOutAllRows);
    return checks[1].pass();
  };
  CHECK(all_rows_pass(0.0999));
  CHECK(!all_rows_pass(0.1001));
  CHECK(ManyRows(1, kPairsForSums - 1).checks(0.1).size() == 1);  // too few to say
}

TEST_CASE("bias: cut off or rounded away, in last places towards the truth's sign", "[verify]") {
  // Last places of bfloat16 are 2^-7 from 1 to 2.
  for (const double sign : {1.0, -1.0}) {
    const auto bias_of = [&](const auto& off) {
      ManyRows rows(sign * 1.25);
      Index i = 0;
      for (double& element : rows.candidate.out.values()) element += sign * 0x1p-7 * off(i++);
      return rows.checks(1).at(2);
    };
    const auto cut = bias_of([](Index i) { return -static_cast<double>(i % 8) / 8; });
    CHECK(cut.name == kOutBias);
    CHECK(!cut.pass());
    CHECK(std::abs(cut.worst.candidate + 0.4375) <= 1e-6);
    CHECK(!bias_of([](Index i) { return static_cast<double>(i % 8) / 8; }).pass());
    CHECK(bias_of([](Index i) { return static_cast<double>(i % 9 - 4) / 8; }).pass());
    // One element far off does not hide the others, and is no bias itself.
    CHECK(!bias_of([](Index i) { return i == 7 ? 1e6 : -0.4; }).pass());
    CHECK(bias_of([](Index i) { return i == 7 ? -1e6 : 0.0; }).pass());
    // Where all numbers are alike, rounding to nearest has a bias of its own.
    ManyRows alike(sign * (1.5 + 0x0.6p-7));
    for (double& element : alike.candidate.out.values()) element = sign * 1.5;
    CHECK(std::abs(alike.checks(1).at(2).worst.candidate + 0.42) <= 0.1);
    CHECK(alike.checks(1).at(2).pass());
    for (double& element : alike.candidate.out.values()) element = sign * (1.5 + 0x1p-7);
    CHECK(!alike.checks(1).at(2).pass());
    // And where all are the same, it says nothing.
    std::fill(alike.truth.out.values().begin(), alike.truth.out.values().end(), sign * 1.3);
    CHECK(alike.checks(1).size() == 2);
  }
}

TEST_CASE("no rows: no error, no checks", "[verify]") {
  const AttentionRows nothing = reference_of({}, {});
  CHECK(check_attention(nothing.out, nothing.lse, nothing, {}, ValueType::kFloat16).empty());
}

TEST_CASE("another shape is refused, not compared", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 1, 2}, {1, 2});
  const auto check = [&](const HeadsTensor<double>& out, const Matrix<double>& lse) {
    return check_attention(out, lse, reference, allowed(2, 1, 1), ValueType::kFloat32);
  };
  for (const auto& [rows, heads, head_dim] :
       {std::array<Index, 3>{1, 1, 2}, {3, 1, 2}, {2, 2, 2}, {2, 1, 1}, {1, 2, 2}}) {
    CHECK_THROWS_AS(check(HeadsTensor<double>(rows, heads, head_dim), {}), std::invalid_argument);
  }
  CHECK_THROWS_AS(check({}, Matrix<double>::Zero(2, 2)), std::invalid_argument);
  CHECK_THROWS_AS(check({}, Matrix<double>::Zero(1, 1)), std::invalid_argument);
  CHECK(check({}, {}).empty());
}

TEST_CASE("tolerances are the contract's", "[verify]") {
  RowSizes sizes;
  sizes.keys = 100;
  sizes.score = 30;
  sizes.values = 7;
  sizes.largest_value = 9;
  sizes.weights_apart = 0.01;
  sizes.weights_alike = 0.003;
  sizes.sum_error = 1e-6;
  MeasuredAttention measured{reference_of({3, 4}, {1}), {sizes}};
  const double sigma = 7 + 5;
  for (const auto& [type, u, least] : {std::tuple{ValueType::kBfloat16, 0x1p-8, 0x1p-134},
                                       {ValueType::kFloat16, 0x1p-11, 0x1p-25},
                                       {ValueType::kFloat32, 0x1p-24, 0x1p-150}}) {
    for (const double a : {0.0, 1e-4}) {
      const double w = 0x1p-21 * ((1 + 2.0 / 64) * 30 + std::log(100.0)) + 3e-6;
      const double o = (u + 0x1p-27 * 100) * 5;
      const double floor = 0x1p-22 * 9 + std::sqrt(2.0) * least;
      const Tolerances t = attention_tolerances(measured, {type, type, kExpAccuracy + a});
      CHECK(std::abs(t.lse(0, 0) - (w + a)) <= 1e-12);
      CHECK(std::abs(t.out(0, 0) - (2.5 * (0.01 + o) + (w + a) * sigma + floor)) <= 1e-12);
      const double mean = 1e-4 / 3 + o * o / 3 + std::pow(w * sigma / 4, 2) +
                          std::pow(a * sigma, 2) + std::pow(floor / 4, 2);
      CHECK(std::abs(t.out_mean_square(0, 0) - mean) <= 1e-12);  // 3 and 4 are exact
    }
  }
  // Weights that round alike count where they cost more; an output that rounds by its most, too.
  measured.sizes[0].weights_alike = 0.1;
  measured.truth.out.values() = {1 + 0x1p-8, 0};
  const Tolerances t = attention_tolerances(measured, {ValueType::kBfloat16, ValueType::kBfloat16});
  CHECK(t.out(0, 0) > 0.25);
  CHECK(t.out(0, 0) < 0.27);
  CHECK(std::abs(t.out_mean_square(0, 0) - (0.005 + 2 * 0x1p-16)) <= 1e-6);
  CHECK(!t.shows_bias(0, 0));  // the weights' rounding hides it
  measured.sizes[0].weights_alike = measured.sizes[0].weights_apart = 0.01;
  CHECK(attention_tolerances(measured, {ValueType::kBfloat16, ValueType::kBfloat16})
            .shows_bias(0, 0));
  CHECK(!attention_tolerances(measured, {ValueType::kBfloat16, ValueType::kFloat32})
             .shows_bias(0, 0));
  measured.sizes[0] = {};
  CHECK(attention_tolerances(measured, {}).out(0, 0) == 0);  // sees nothing
}

}  // namespace
}  // namespace apb
