// Ring attention in zigzag order (zhuzilin/ring-flash-attention): 2H chunks, rank r holds chunks r
// and 2H - 1 - r, so that in every step every rank has the same work: half of its rows against two
// chunks, or all of its rows against one.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_zigzag_ring(const PlanInput& input, PlanBuilder& builder) {
  const int num_ranks = builder.num_ranks();
  const auto chunks = equal_chunks(0, input.config.doc_len, 2 * Index{num_ranks});
  const auto early = [&](int r) { return chunks[static_cast<std::size_t>(r)].count(); };
  const auto late = [&](int r) {
    return chunks[chunks.size() - 1 - static_cast<std::size_t>(r)].count();
  };
  const auto holder = [&](int r, int step) { return (r - step + num_ranks) % num_ranks; };
  std::vector<Index> rows;
  for (int r = 0; r < num_ranks; ++r) {
    rows.push_back(early(r) + late(r));
    builder.project(r, rows.back());
  }
  const auto rows_at = [&](int r, int step) {
    return rows[static_cast<std::size_t>(holder(r, step))];
  };
  for (int step = 0; step < num_ranks; ++step) {
    const bool last = step == num_ranks - 1;
    if (!last) builder.ring_step(step, rows_at);
    for (int r = 0; r < num_ranks; ++r) {
      const int from = holder(r, step);
      if (step == 0) {  // own chunks: both causal, the late one sees the early one whole
        const Index pairs = causal_pairs(early(r)) + causal_pairs(late(r)) + late(r) * early(r);
        builder.attend(r, early(r) + late(r), pairs, early(r) + late(r), MaskKind::kCausal);
      } else if (from < r) {  // all rows see the early chunk, none the late one
        const Index queries = early(r) + late(r);
        builder.attend(r, queries, queries * early(from), early(from), MaskKind::kFull);
      } else {  // the late rows see both
        const Index keys = early(from) + late(from);
        builder.attend(r, late(r), late(r) * keys, keys, MaskKind::kFull);
      }
    }
    if (!last) builder.next_step();
  }
  builder.finish(rows);
}

}  // namespace apb::sim
