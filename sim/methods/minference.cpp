// MInference (arXiv 2407.02490) by its published rule: each head keeps some columns and diagonals
// of its attention ("vertical-slash"), chosen from the last 64 queries. Which of the published
// budgets a head gets was searched per model and is not published for these models; all heads take
// the largest here.

#include <algorithm>

#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

/// Columns and diagonals that a head keeps, of the published budgets (30, 2048), (100, 1800),
/// (500, 1500) and (3000, 200).
constexpr Index kKeptColumns = 3000;
constexpr Index kKeptDiagonals = 200;
constexpr Index kSearchRows = 64;

/// Pairs of the first `rows` rows, each of which sees what it keeps.
Index kept_pairs(Index rows) {
  const Index kept = std::min(rows, kKeptColumns + kKeptDiagonals);
  return causal_pairs(kept) + (rows - kept) * kept;
}

}  // namespace

void plan_minference(const PlanInput& input, PlanBuilder& builder) {
  const auto& [begin, end] = input.piece;
  const Index rows = end - begin;
  builder.project(0, rows);
  // The search: dense attention scores of the last rows.
  const Index searched = std::min(rows, kSearchRows);
  builder.attend(0, searched, searched * (end - searched) + causal_pairs(searched), end,
                 MaskKind::kFull);
  builder.attend_sparse(0, rows, kept_pairs(end) - kept_pairs(begin));
  builder.finish({rows});
}

}  // namespace apb::sim
