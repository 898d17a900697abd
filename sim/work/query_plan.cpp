#include "sim/work/query_plan.hpp"

#include "sim/methods/method_table.hpp"

namespace apb::sim {

LayerPlan plan_query_pass(const Job& job, const ApbConfig& config, Index rows, Index before) {
  const BlockLayout layout = layout_of(job, config);
  LayerPlan plan;
  PlanBuilder builder(job, config.num_ranks, heads_shared_by(job), plan);
  std::vector<Index> partial_bytes;
  std::vector<Index> all_rows;
  for (std::size_t r = 0; r < layout.ranks.size(); ++r) {
    const auto rank = static_cast<int>(r);
    const bool appends = rank == layout.appending_rank;
    const Index cached = layout.ranks[r].cached_rows() + (appends ? before : 0);
    builder.project(rank, rows);
    builder.attend(rank, rows, rows * cached + (appends ? causal_pairs(rows) : 0), cached + rows,
                   MaskKind::kFull);
    // out in the element type, its log-sum-exp as one number more a head
    partial_bytes.push_back(builder.bytes(rows, builder.own_q_heads() * (job.model.head_dim + 1)));
    all_rows.push_back(rows);
  }
  if (layout.ranks.size() > 1) {
    builder.all_gather(partial_bytes);
    builder.next_step();
    for (std::size_t r = 0; r < layout.ranks.size(); ++r) {
      builder.stream(static_cast<int>(r), Part::kAttention,
                     static_cast<Index>(layout.ranks.size() + 1) * partial_bytes[r]);
    }
  }
  builder.finish(all_rows);
  return plan;
}

}  // namespace apb::sim
