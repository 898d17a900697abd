#pragma once
/// \file
/// Which rows and heads of a wrong result fail.

#include <string>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/diagnosis.hpp"

namespace apb {

/// Places in the wrong result's truth (not row numbers), ascending.
struct FailingRows {
  std::vector<Index> rows;
  std::vector<Index> heads;
  std::string quantities;       ///< "out", "lse" or "out and lse"
  bool numbers = false;         ///< some wrong values are numbers
  bool out_non_finite = false;  ///< out holds NaN or infinity where the truth does not
  bool lse_non_finite = false;  ///< lse does
};

/// Rows over their tolerance. If no single row is (only all together), those with the largest
/// error: at least half of the worst.
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
