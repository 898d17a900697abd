#include "reference/core/plans/layer_work.hpp"

#include "reference/core/plans/work_formulas.hpp"

namespace apb {
namespace {

bool exchanges(const ApbConfig& config) {
  return config.num_ranks > 1 && config.compressor != Compressor::kNone;
}

bool scores_with_query(const ApbConfig& config) {
  return exchanges(config) && config.compressor == Compressor::kQueryAware;
}

/// FLOPs that score a rank's block for selection.
Index compressor_flop(const ApbConfig& config, const RankLayout& rank, const LayerSizes& sizes) {
  if (scores_with_query(config)) {
    return checked_product(config, {2, rank.block_len, config.num_kv_heads, config.head_dim});
  }
  if (!exchanges(config) || config.compressor != Compressor::kRetainingHead) return 0;
  const Index inputs = (config.num_q_heads + 2 * config.num_kv_heads) * config.head_dim;
  if (sizes.retaining_size == 0) {
    return checked_product(config, {2, rank.block_len, inputs, config.num_kv_heads});
  }
  return checked_product(config,
                         {2, rank.block_len, sizes.retaining_size, inputs + config.num_kv_heads});
}

}  // namespace

Index visible_pairs(const RankLayout& layout) {
  return triangle(layout.anchor_rows) + triangle(layout.block_len) +
         layout.block_len * (layout.anchor_rows + layout.passing_rows);
}

std::vector<Counters> layer_work(const ApbConfig& config, Index element_bytes,
                                 const LayerSizes& sizes) {
  const BlockLayout layout = make_block_layout(config);
  std::vector<Counters> work;
  for (const RankLayout& rank : layout.ranks) {
    Counters counters =
        rows_work(config, rank.rows(), config.num_q_heads, visible_pairs(rank), sizes);
    counters.compressor_flop = compressor_flop(config, rank, sizes);
    work.push_back(counters);
  }
  if (exchanges(config)) {
    std::vector<Index> kept_bytes;
    for (const RankLayout& rank : layout.ranks) {
      kept_bytes.push_back(key_value_bytes(config, rank.num_kept, element_bytes));
    }
    add_all_gather(config, kept_bytes, work);
  }
  if (scores_with_query(config)) {
    // Rank 0 holds no query: rank 1 sends it the query rows of this layer.
    const Index query_bytes = checked_product(
        config, {config.embedded_query_len, config.num_q_heads, config.head_dim, element_bytes});
    work[0].bytes_received += query_bytes;
    work[1].bytes_sent += query_bytes;
  }
  return work;
}

}  // namespace apb
