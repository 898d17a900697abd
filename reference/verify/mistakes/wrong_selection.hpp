#pragma once
/// \file
/// Mistakes in kept positions: counted from elsewhere, or the wrong ones kept. One row a mistake.

#include <span>
#include <string_view>

#include "reference/verify/judge_selection.hpp"

namespace apb {

/// What a selection is made from.
struct SelectionEvidence {
  const CaseRank& rank;
  const Matrix<double>& importance;  ///< [block_rows, num_kv_heads]
  const HeadPositions& expected;     ///< the exact selection on it
};

struct SelectionMistake {
  std::string_view name;
  HeadPositions (*positions)(const SelectionEvidence&);  ///< what would be kept, ascending
};

/// All of them.
[[nodiscard]] std::span<const SelectionMistake> known_selection_mistakes();

/// Names the mistakes that give exactly what is kept, in all KV heads or in those that are wrong.
[[nodiscard]] std::vector<Explanation> explain_selection(const SelectionEvidence& evidence,
                                                         const HeadPositions& kept);

}  // namespace apb
