// Ring attention (arXiv 2310.01889), as the APB paper's baseline runs it: contiguous blocks. Keys
// and values go round; in step s rank r attends to the block of rank r - s, if that is one of its
// own past, and passes it on. K and V travel as two messages.

#include "sim/methods/block_lengths.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_ring(const PlanInput& input, PlanBuilder& builder) {
  const int num_ranks = builder.num_ranks();
  std::vector<Index> rows;
  for (const RankLayout& rank : input.layout.ranks) rows.push_back(rank.block_len);
  for (int r = 0; r < num_ranks; ++r) builder.project(r, rows[static_cast<std::size_t>(r)]);

  const BlockLengths blocks(rows);
  const bool alike = !input.each_ring_step && input.job.lengths.block_lens.empty() &&
                     ring_steps_alike(input.config.doc_len, num_ranks);
  const bool merges = !input.style.ring_merges && num_ranks > 1;
  const auto attend = [&](int r, Index queries, Index keys, Index times) {
    builder.attend_blocks(r, queries, keys, times);
    if (merges) builder.merge_steps(r, queries, times);
  };
  for (const Chunk& steps : ring_stretches(num_ranks, alike)) {
    const bool last = steps.end == num_ranks;
    if (!last) builder.ring_steps(steps, blocks);
    for (int r = static_cast<int>(steps.begin); r < num_ranks; ++r) {
      const Index queries = blocks[r];
      if (steps.begin == 0) {
        builder.attend(r, queries, causal_pairs(queries), queries, MaskKind::kCausal);
        if (merges) builder.merge_steps(r, queries, 1);
        continue;
      }
      const Index first = std::max<Index>(0, r - steps.end + 1);
      blocks.each_length(first, r - steps.begin + 1,
                         [&](Index keys, Index times) { attend(r, queries, keys, times); });
    }
    if (!last) builder.next_step();
  }
  builder.finish(rows);
}

}  // namespace apb::sim
