#pragma once
/// \file
/// Mistakes in importance: another scale, another pooling. One row a mistake.

#include <functional>
#include <span>
#include <string_view>

#include "reference/verify/judge.hpp"

namespace apb {

/// What importance is made from.
struct ImportanceEvidence {
  const ApbConfig& config;
  const RankLayout& layout;
  const Matrix<double>& scores;  ///< [block_rows, num_kv_heads], in double, before pooling
  const Matrix<double>& truth;   ///< the same, pooled; -inf where not a candidate
  Index query_rows;              ///< averaged over; 0 if the compressor looks at none
};

/// Importance with a mistake.
struct WrongImportance {
  Matrix<double> value;  ///< [block_rows, num_kv_heads]; empty: the mistake cannot be made
  double factor = 1;     ///< by which rounding errors grow
};

struct ImportanceMistake {
  std::string_view name;
  WrongImportance (*importance)(const ImportanceEvidence&);
};

/// All of them.
[[nodiscard]] std::span<const ImportanceMistake> known_importance_mistakes();

/// An element's error against what is expected there, in units of its tolerance.
using ImportanceError = std::function<double(Index row, Index head, double expected)>;

/// Names the mistakes that explain (misfit.hpp) a wrong importance.
/// \param error of the candidate
[[nodiscard]] Diagnosis explain_importance(const ImportanceEvidence& evidence,
                                           const ImportanceError& error);

}  // namespace apb
