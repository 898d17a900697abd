// Star Attention (arXiv 2411.17116): anchor and block as one causal sequence, nothing is sent. APE
// (arXiv 2502.05431) costs the same: it only reuses positions.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_star(const PlanInput& input, PlanBuilder& builder) {
  std::vector<Index> rows;
  for (const RankLayout& rank : input.layout.ranks) {
    const auto r = static_cast<int>(rows.size());
    rows.push_back(rank.rows());
    builder.project(r, rank.rows());
    builder.attend(r, rank.rows(), causal_pairs(rank.rows()), rank.rows(), MaskKind::kCausal);
  }
  builder.finish(rows);
}

}  // namespace apb::sim
