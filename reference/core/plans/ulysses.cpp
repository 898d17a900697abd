#include "reference/core/plans/ulysses.hpp"

#include "reference/core/plans/work_formulas.hpp"

namespace apb {

std::vector<Counters> ulysses_work(const ApbConfig& config, Index element_bytes,
                                   const LayerSizes& sizes) {
  config.validate();
  std::vector<Counters> work;
  Index rank = 0;
  for (const Index rows : config.resolved_block_lens()) {
    const Index kv_heads = (rank + 1) * config.num_kv_heads / config.num_ranks -
                           rank * config.num_kv_heads / config.num_ranks;
    const Index q_heads = kv_heads * config.group_size();
    ++rank;
    Counters counters = rows_work(config, rows, q_heads, triangle(config.doc_len), sizes);
    // Query, key and value of other rows come, of other heads go; out makes the way back.
    const Index inputs = q_heads + 2 * kv_heads;
    const Index all_inputs = config.num_q_heads + 2 * config.num_kv_heads;
    const Index in_rows = config.doc_len - rows;
    const Index bytes = config.head_dim * element_bytes;
    counters.bytes_received = checked_product(config, {in_rows, inputs, bytes}) +
                              checked_product(config, {rows, config.num_q_heads - q_heads, bytes});
    counters.bytes_sent = checked_product(config, {rows, all_inputs - inputs, bytes}) +
                          checked_product(config, {in_rows, q_heads, bytes});
    work.push_back(counters);
  }
  return work;
}

}  // namespace apb
