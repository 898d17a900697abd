#include "reference/core/plans/all_gather.hpp"

#include "reference/core/plans/work_formulas.hpp"
#include "reference/core/plans/zigzag_ring.hpp"

namespace apb {

std::vector<Counters> all_gather_work(const ApbConfig& config, Index element_bytes,
                                      const LayerSizes& sizes) {
  std::vector<Counters> work = zigzag_ring_work(config, element_bytes, sizes);
  std::vector<Index> own_bytes;
  for (Counters& rank : work) {
    rank.bytes_received = rank.bytes_sent = 0;
    own_bytes.push_back(key_value_bytes(config, rank.rows_computed, element_bytes));
  }
  add_all_gather(config, own_bytes, work);
  return work;
}

}  // namespace apb
