#pragma once
/// \file
/// What a wrong result looks like: known mistakes are tried on the rows that fail, and the one that
/// explains the candidate (misfit.hpp) is named.

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

/// Where a quantity fails.
struct WrongPlace {
  std::string quantity;  ///< "out", "lse", "out and lse" if both fail alike, "kept_positions", …
  std::string rows;      ///< that fail, in words; empty: not by rows
  std::string heads;     ///< that fail, in words
};

struct Diagnosis {
  std::vector<WrongPlace> places;
  std::vector<Explanation> explanations;  ///< best first, ties together; none: unknown pattern
  double error = 0;  ///< of the candidate against the truth where it fails, in units of its budget

  /// "out and lse"
  [[nodiscard]] std::string quantities() const;
  /// One or two sentences.
  [[nodiscard]] std::string text() const;
};

/// A wrong result and everything that may explain it.
struct WrongResult {
  const AttentionSetup& setup;     ///< the right one
  const CaseFile* case_file;       ///< whose prefill or query pass it is; null: no case's
  const CaseRank* rank;            ///< of a prefill; null otherwise
  const AttentionRows& truth;      ///< of the judged rows
  const HeadsTensor<double>& out;  ///< the candidate's, same rows and heads; empty: not given
  const Matrix<double>& lse;       ///< the candidate's; empty: not given
  const Tolerances& tolerances;    ///< of the same rows and heads
  bool out_fails = false;
  bool lse_fails = false;
};

/// \param wrong fails in out, lse or both
[[nodiscard]] Diagnosis diagnose(const WrongResult& wrong);

/// "3, 5-9, 12"; long lists are cut.
[[nodiscard]] std::string list_in_words(const std::vector<Index>& numbers);

}  // namespace apb
