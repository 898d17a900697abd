#pragma once
/// \file
/// What a wrong result looks like: known mistakes are tried against the truth on the rows that
/// fail, and the one that explains the candidate is named.

#include <string>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/budget.hpp"

namespace apb {

/// A mistake that explains a wrong result.
struct Explanation {
  std::string mistake;  ///< in words
  double error = 0;     ///< of the candidate under the mistake, in units of its budget
};

struct Diagnosis {
  std::string quantities;                 ///< "out", "lse", "out and lse", "kept_positions", …
  std::string rows;                       ///< that fail, in words
  std::string heads;                      ///< that fail, in words
  std::vector<Explanation> explanations;  ///< best first, ties together; none: unknown pattern
  double error = 0;  ///< of the candidate against the truth on these rows, in units of its budget

  /// One or two sentences.
  [[nodiscard]] std::string text() const;
};

/// A wrong result and everything that may explain it.
struct WrongResult {
  const AttentionSetup& setup;     ///< the right one
  const CaseFile* case_file;       ///< of a prefill; null otherwise
  const CaseRank* rank;            ///< of a prefill; null otherwise
  const AttentionRows& truth;      ///< of the judged rows
  const HeadsTensor<double>& out;  ///< the candidate's, same rows and heads; empty: not given
  const Matrix<double>& lse;       ///< the candidate's; empty: not given
  const Tolerances& tolerances;    ///< of the same rows and heads
};

/// \param wrong fails in out, lse or both
[[nodiscard]] Diagnosis diagnose(const WrongResult& wrong);

/// "3, 5-9, 12"; long lists are cut.
[[nodiscard]] std::string list_in_words(const std::vector<Index>& numbers);

}  // namespace apb
