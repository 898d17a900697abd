#include "reference/core/plans/ring.hpp"

#include "reference/core/plans/work_formulas.hpp"

namespace apb {

void add_ring_bytes(const ApbConfig& config, Index element_bytes, std::vector<Counters>& work) {
  for (std::size_t rank = 0; rank < work.size(); ++rank) {
    const Index next_rows = work[(rank + 1) % work.size()].rows_computed;
    work[rank].bytes_received =
        key_value_bytes(config, config.doc_len - work[rank].rows_computed, element_bytes);
    work[rank].bytes_sent = key_value_bytes(config, config.doc_len - next_rows, element_bytes);
  }
}

std::vector<Counters> ring_work(const ApbConfig& config, Index element_bytes,
                                const LayerSizes& sizes) {
  config.validate();
  std::vector<Counters> work;
  Index before = 0;
  for (const Index block_len : config.resolved_block_lens()) {
    const Index pairs = triangle(block_len) + block_len * before;
    work.push_back(rows_work(config, block_len, config.num_q_heads, pairs, sizes));
    before += block_len;
  }
  add_ring_bytes(config, element_bytes, work);
  return work;
}

}  // namespace apb
