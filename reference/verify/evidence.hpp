#pragma once
/// \file
/// What mistakes are tried on: some rows and heads of a wrong result, most of which fail.

#include <algorithm>
#include <limits>

#include "reference/verify/failing_rows.hpp"
#include "reference/verify/misfit.hpp"

namespace apb {

/// A row and a head, by their places in an evidence.
struct PairPlace {
  Index row = 0;
  Index head = 0;
};

/// Rows and heads that fail, and some that do not: a mistake must explain the ones and leave the
/// others alone.
struct Evidence {
  const WrongResult& wrong;
  AttentionRows truth;             ///< of these rows and heads
  HeadsTensor<double> out;         ///< the candidate's there; empty: not given
  Matrix<double> lse;              ///< the candidate's there; empty: not given
  Tolerances tolerances;           ///< there
  Matrix<char> out_fails;          ///< [rows, heads], 1 or 0
  Matrix<char> lse_fails;          ///< [rows, heads], 1 or 0
  std::vector<PairPlace> failing;  ///< of which out or lse fails

  /// Error of out, or of lse, in units of its budget, against the truth or what a mistake would
  /// give.
  [[nodiscard]] double out_error(PairPlace place, const double* expected) const;
  [[nodiscard]] double lse_error(PairPlace place, double expected) const;

  [[nodiscard]] Index row(PairPlace place) const {
    return truth.rows[static_cast<std::size_t>(place.row)];
  }
  [[nodiscard]] Index head(PairPlace place) const {
    return truth.heads[static_cast<std::size_t>(place.head)];
  }
};

/// At most 24 failing rows and 8 others, evenly spread, 8 right beside failing ones; 4 failing
/// heads and 4 others.
[[nodiscard]] Evidence gather_evidence(const WrongResult& wrong, const FailingRows& failing);

/// Two of the failing pairs of each quantity: enough to see that most mistakes do not fit.
[[nodiscard]] Evidence first_glance(const Evidence& evidence);

/// Whether keys and values of a setup are all finite.
[[nodiscard]] bool inputs_are_finite(const AttentionSetup& setup);

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// At most `count` of the numbers, evenly spread, first and last included.
template <class Number>
[[nodiscard]] std::vector<Number> spread(const std::vector<Number>& numbers, std::size_t count) {
  if (numbers.size() <= count) return numbers;
  if (count == 1) return {numbers.front()};
  std::vector<Number> chosen;
  for (std::size_t i = 0; i < count; ++i) {
    chosen.push_back(numbers[i * (numbers.size() - 1) / (count - 1)]);
  }
  return chosen;
}

/// How far the evidence is from what it is held against.
struct Fit {
  Misfit out;          ///< where out fails
  Misfit lse;          ///< where lse fails
  Misfit beside;       ///< out where only lse fails, and lse where only out does
  Misfit other_rows;   ///< out and lse of right pairs, in heads of which other rows fail
  Misfit other_heads;  ///< the same in heads of which no row fails

  /// The larger mean error of what fails.
  [[nodiscard]] double error() const { return std::max(out.rms(), lse.rms()); }
};

/// \param expected of the evidence's rows and heads: the truth, or what a mistake would give
[[nodiscard]] Fit measure(const Evidence& evidence, const AttentionRows& expected);

}  // namespace apb
