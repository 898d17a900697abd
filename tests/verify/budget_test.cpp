// The comparison can say no: to NaN, infinities, signs, rows of zero, and by each of its norms.

#include "reference/verify/budget.hpp"

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

AttentionErrors errors_of(const std::vector<double>& candidate, const std::vector<double>& lse,
                          const AttentionRows& reference) {
  const AttentionRows other = reference_of(candidate, lse);
  return attention_errors(other.out, other.lse, reference);
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

TEST_CASE("the three norms of out, and lse, by hand", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 0.3, -0.4}, {1, 2});
  const AttentionErrors errors = errors_of({3, 4.5, 0.3, -0.3}, {1, 1.75}, reference);
  CHECK(errors.max.error == 0.5);
  CHECK(errors.max.worst.row == 0);
  CHECK(errors.max.worst.element == 1);
  CHECK(errors.max.worst.candidate == 4.5);
  CHECK(errors.max.worst.reference == 4);
  CHECK(std::abs(errors.frobenius.error - std::sqrt(0.26 / 25.25)) <= 1e-12);
  CHECK(std::abs(errors.worst_row.error - 0.2) <= 1e-12);  // 0.1 of 0.5, not 0.5 of 5
  CHECK(errors.worst_row.worst.row == 1);
  CHECK(errors.lse.error == 0.25);
  CHECK(errors.lse.worst.row == 1);
}

TEST_CASE("a NaN or infinity that should not be there makes every norm fail", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 1, 2}, {1, 2});
  for (const double bad : {kNan, kInf, -kInf}) {
    const AttentionErrors errors = errors_of({3, 4, bad, 2}, {bad, 2}, reference);
    CHECK(!within(errors.max.error, 1e9));
    CHECK(!within(errors.frobenius.error, 1e9));
    CHECK(!within(errors.worst_row.error, 1e9));
    CHECK(!within(errors.lse.error, 1e9));
    CHECK(errors.max.worst.row == 1);
    CHECK(errors.lse.worst.row == 0);
  }
}

TEST_CASE("NaN in the reference wants NaN in the candidate, and only there", "[verify]") {
  const AttentionRows reference = reference_of({kNan, 4, 1, 2}, {kNan, -kInf});
  const AttentionErrors same = errors_of({kNan, 4, 1, 2}, {kNan, -kInf}, reference);
  CHECK(same.max.error == 0);
  CHECK(same.worst_row.error == 0);
  CHECK(same.lse.error == 0);
  CHECK(!within(errors_of({0, 4, 1, 2}, {kNan, -kInf}, reference).max.error, 1e9));
  CHECK(!within(errors_of({0, 4, 1, 2}, {kNan, -kInf}, reference).worst_row.error, 1e9));
  CHECK(!within(errors_of({kNan, 4, 1, 2}, {0, -kInf}, reference).lse.error, 1e9));
  CHECK(!within(errors_of({kNan, 4, 1, 2}, {kNan, kInf}, reference).lse.error, 1e9));
  CHECK(!within(errors_of({kNan, 4, 1, 2}, {kNan, -1e30}, reference).lse.error, 1e9));
}

TEST_CASE("a row whose reference is zero must match exactly", "[verify]") {
  const AttentionRows reference = reference_of({0, 0, 1, 2}, {-kInf, 2});
  CHECK(errors_of({0, -0.0, 1, 2}, {-kInf, 2}, reference).worst_row.error == 0);
  CHECK(!within(errors_of({0, 1e-30, 1, 2}, {-kInf, 2}, reference).worst_row.error, 1e9));
}

TEST_CASE("sign flips are errors, in one element or in all", "[verify]") {
  const AttentionRows reference = reference_of({-3, -4, 1, 2}, {-1, -2});
  CHECK(errors_of({3, 4, -1, -2}, {1, 2}, reference).frobenius.error == 2);
  CHECK(errors_of({-3, -4, 1, -2}, {-1, -2}, reference).max.error == 4);
  CHECK(errors_of({-3, -4, 1, 2}, {1, -2}, reference).lse.error == 2);
}

TEST_CASE("no rows: no error, and the tolerances are still finite", "[verify]") {
  const AttentionRows nothing = reference_of({}, {});
  const AttentionErrors errors = attention_errors(nothing.out, nothing.lse, nothing);
  CHECK(errors.max.error == 0);
  CHECK(errors.max.worst.row == -1);
  const Tolerances tolerances = attention_tolerances(nothing, nothing, ValueType::kFloat16);
  CHECK(within(errors.frobenius.error, tolerances.frobenius));
}

TEST_CASE("another shape is refused, not compared", "[verify]") {
  const AttentionRows reference = reference_of({3, 4, 1, 2}, {1, 2});
  const Matrix<double> no_lse;
  const HeadsTensor<double> no_out;
  for (const auto& [rows, heads, head_dim] :
       {std::array<Index, 3>{1, 1, 2}, {3, 1, 2}, {2, 2, 2}, {2, 1, 1}, {1, 2, 2}}) {
    CHECK_THROWS_AS(attention_errors(HeadsTensor<double>(rows, heads, head_dim), no_lse, reference),
                    std::invalid_argument);
  }
  CHECK_THROWS_AS(attention_errors(no_out, Matrix<double>::Zero(2, 2), reference),
                  std::invalid_argument);
  CHECK_THROWS_AS(attention_errors(no_out, Matrix<double>::Zero(1, 1), reference),
                  std::invalid_argument);
  CHECK(attention_errors(no_out, no_lse, reference).max.error == 0);
}

TEST_CASE("tolerances are the contract's", "[verify]") {
  AttentionRows reference = reference_of({3, 4, 0.3, -0.4}, {1, 2});
  const AttentionRows plain = reference_of({3, 4.5, 0.3, -0.3}, {1, 1.75});
  for (const auto& [type, u] : {std::pair{ValueType::kBfloat16, 0x1p-9},
                                {ValueType::kFloat16, 0x1p-12},
                                {ValueType::kFloat32, 0x1p-24}}) {
    for (const auto& [score, s] : {std::pair{0.5, 1.0}, {1000.0, 1000.0}}) {
      reference.max_abs_score = score;
      const double w = u + 0x1p-22 * s;
      const Tolerances t = attention_tolerances(reference, plain, type);
      CHECK(std::abs(t.max - (2 * 0.5 + w * 4)) <= 1e-15);
      CHECK(std::abs(t.frobenius - (2 * std::sqrt(0.26 / 25.25) + w)) <= 1e-12);
      CHECK(std::abs(t.worst_row - (2 * 0.2 + w)) <= 1e-12);
      CHECK(std::abs(t.lse - (2 * 0.25 + 0x1p-21 * s)) <= 1e-15);
    }
  }
}

}  // namespace
}  // namespace apb
