#include "reference/core/plans/all_gather.hpp"

#include "reference/core/plans/work_formulas.hpp"
#include "reference/core/plans/zigzag_ring.hpp"

namespace apb {

std::vector<Counters> all_gather_work(const ApbConfig& config, Index element_bytes,
                                      const LayerSizes& sizes) {
  std::vector<Counters> work = zigzag_ring_work(config, element_bytes, sizes);
  const Index receivers = config.num_ranks - 1;
  for (Counters& rank : work) {
    const Index own_bytes = key_value_bytes(config, rank.rows_computed, element_bytes);
    rank.bytes_sent = checked_product(config, {receivers, own_bytes});
  }
  return work;
}

}  // namespace apb
