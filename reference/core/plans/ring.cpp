#include "reference/core/plans/ring.hpp"

#include "reference/core/work_parts.hpp"

namespace apb {

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
