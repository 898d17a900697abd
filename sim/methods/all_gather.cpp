// All-gather context parallelism in zigzag order, as SGLang and Megatron ship it: every rank
// gathers all keys and values, then attends for its two chunks, r and 2H - 1 - r, to all that lies
// before.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_all_gather(const PlanInput& input, PlanBuilder& builder) {
  if (builder.num_ranks() == 1) {  // its two chunks lie side by side: one kernel
    plan_full(input, builder);
    return;
  }
  const auto num_ranks = static_cast<std::size_t>(builder.num_ranks());
  const auto chunks = equal_chunks(0, input.config.doc_len, 2 * Index{builder.num_ranks()});
  std::vector<Index> rows;
  std::vector<Index> own_bytes;
  for (std::size_t r = 0; r < num_ranks; ++r) {
    rows.push_back(chunks[r].count() + chunks[2 * num_ranks - 1 - r].count());
    own_bytes.push_back(builder.key_value_bytes(rows.back()));
    builder.project(static_cast<int>(r), rows.back());
  }
  builder.all_gather(own_bytes);
  builder.next_step();
  for (std::size_t r = 0; r < num_ranks; ++r) {
    for (const Chunk& chunk : {chunks[r], chunks[2 * num_ranks - 1 - r]}) {
      const Index queries = chunk.count();
      builder.attend(static_cast<int>(r), queries, causal_pairs(queries) + queries * chunk.begin,
                     chunk.end, MaskKind::kCausal);
    }
  }
  builder.finish(rows);
}

}  // namespace apb::sim
