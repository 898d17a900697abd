// Ring attention in zigzag order (zhuzilin/ring-flash-attention): 2H chunks, rank r holds chunks r
// and 2H - 1 - r, so that in every step every rank has the same work: half of its rows against two
// chunks, or all of its rows against one.

#include "sim/methods/block_lengths.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_zigzag_ring(const PlanInput& input, PlanBuilder& builder) {
  const int num_ranks = builder.num_ranks();
  const auto chunks = equal_chunks(0, input.config.doc_len, 2 * Index{num_ranks});
  std::vector<Index> early_rows;
  std::vector<Index> rows;
  for (int r = 0; r < num_ranks; ++r) {
    early_rows.push_back(chunks[static_cast<std::size_t>(r)].count());
    rows.push_back(early_rows.back() +
                   chunks[chunks.size() - 1 - static_cast<std::size_t>(r)].count());
    builder.project(r, rows.back());
  }
  const BlockLengths early(early_rows);
  const BlockLengths both(rows);
  const bool alike = !input.each_ring_step && ring_steps_alike(input.config.doc_len, num_ranks);
  const bool merges = !input.style.ring_merges && num_ranks > 1;
  const auto attend = [&](int r, Index queries, Index keys, Index times) {
    builder.attend_blocks(r, queries, keys, times);
    if (merges) builder.merge_steps(r, queries, times);
  };
  for (const Chunk& steps : ring_stretches(num_ranks, alike)) {
    const bool last = steps.end == num_ranks;
    if (!last) builder.ring_steps(steps, both);
    for (int r = 0; r < num_ranks; ++r) {
      const Index late = both[r] - early[r];
      if (steps.begin == 0) {  // own chunks: both causal, the late one sees the early one whole
        const Index pairs = causal_pairs(early[r]) + causal_pairs(late) + late * early[r];
        builder.attend(r, both[r], pairs, both[r], MaskKind::kCausal);
        if (merges) builder.merge_steps(r, both[r], 1);
        continue;
      }
      // From ranks before it all rows see the early chunk, none the late one.
      const Index first = std::max<Index>(0, r - steps.end + 1);
      early.each_length(first, r - steps.begin + 1,
                        [&](Index keys, Index times) { attend(r, both[r], keys, times); });
      // From ranks behind it the late rows see both.
      const Index begin = std::max<Index>(r + 1, num_ranks + r - steps.end + 1);
      const Index end = std::min<Index>(num_ranks, num_ranks + r - steps.begin + 1);
      both.each_length(begin, end, [&](Index keys, Index times) { attend(r, late, keys, times); });
    }
    if (!last) builder.next_step();
  }
  builder.finish(rows);
}

}  // namespace apb::sim
