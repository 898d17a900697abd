// Ring attention (arXiv 2310.01889), as the APB paper's baseline runs it: contiguous blocks. Keys
// and values go round; in step s rank r attends to the block of rank r - s, if that is one of its
// own past, and passes it on. K and V travel as two messages.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_ring(const PlanInput& input, PlanBuilder& builder) {
  const int num_ranks = builder.num_ranks();
  std::vector<Index> rows;
  for (const RankLayout& rank : input.layout.ranks) rows.push_back(rank.block_len);
  for (int r = 0; r < num_ranks; ++r) builder.project(r, rows[static_cast<std::size_t>(r)]);

  const auto block_at = [&](int rank, int step) {
    return rows[static_cast<std::size_t>((rank - step + num_ranks) % num_ranks)];
  };
  for (int step = 0; step < num_ranks; ++step) {
    const bool last = step == num_ranks - 1;
    if (!last) builder.ring_step(step, block_at);
    for (int r = step; r < num_ranks; ++r) {
      const Index queries = rows[static_cast<std::size_t>(r)];
      const Index keys = block_at(r, step);
      builder.attend(r, queries, step == 0 ? causal_pairs(queries) : queries * keys, keys,
                     step == 0 ? MaskKind::kCausal : MaskKind::kFull);
    }
    if (!last) builder.next_step();
  }
  builder.finish(rows);
}

}  // namespace apb::sim
