#pragma once
/// \file
/// Which rows and heads of a wrong result fail, each quantity for itself.

#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/diagnosis.hpp"

namespace apb {

/// One (row, head) that fails.
struct FailingPair {
  Index row = 0;   ///< places in the wrong result's truth, not row numbers
  Index head = 0;  ///< as row
  double error = 0;
  bool non_finite = false;  ///< NaN or infinity, where the truth is neither or another
};

/// Where one quantity fails.
struct FailingPart {
  std::vector<FailingPair> pairs;  ///< row by row; none: it is right, or not given
  bool together = false;  ///< no pair alone is over its budget: those of at least half the largest

  [[nodiscard]] std::vector<Index> rows() const;   ///< places, ascending
  [[nodiscard]] std::vector<Index> heads() const;  ///< places, ascending
  [[nodiscard]] bool has_numbers() const;          ///< some wrong values are numbers
  [[nodiscard]] bool has_non_finite() const;       ///< some are NaN or infinite
};

struct FailingRows {
  FailingPart out;
  FailingPart lse;

  [[nodiscard]] std::vector<Index> rows() const;   ///< of both
  [[nodiscard]] std::vector<Index> heads() const;  ///< of both
};

[[nodiscard]] FailingRows find_failing_rows(const WrongResult& wrong);

/// Some rows and heads, by their places.
[[nodiscard]] HeadsTensor<double> pick(const HeadsTensor<double>& all,
                                       const std::vector<Index>& rows,
                                       const std::vector<Index>& heads);
[[nodiscard]] Matrix<double> pick(const Matrix<double>& all, const std::vector<Index>& rows,
                                  const std::vector<Index>& heads);
[[nodiscard]] Tolerances pick(const Tolerances& all, const std::vector<Index>& rows,
                              const std::vector<Index>& heads);
[[nodiscard]] AttentionRows pick(const AttentionRows& all, const std::vector<Index>& rows,
                                 const std::vector<Index>& heads);

}  // namespace apb
