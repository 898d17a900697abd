#include "reference/core/work.hpp"

#include <initializer_list>

#include "reference/core/error.hpp"

namespace apb {
namespace {

/// Every product stays below this, so that a sum of two of them still fits 63 bits.
constexpr Index kMaxCount = Index{1} << 62;

constexpr Index triangle(Index rows) {
  return rows * (rows + 1) / 2;
}

Index checked_product(const ApbConfig& config, std::initializer_list<Index> factors) {
  Index product = 1;
  for (const Index factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product >= kMaxCount) {
      throw BadInput("config", "doc_len + embedded_query_len",
                     config.doc_len + config.embedded_query_len,
                     "less: with these heads and sizes a layer's work does not fit 62 bits");
    }
  }
  return product;
}

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

/// Multiply-adds of one row in the seven matrices of a layer (query, output; key, value; gate, up,
/// down) are width * hidden_size in all.
Index projection_width(const ApbConfig& config, const LayerSizes& sizes) {
  return 2 * config.num_q_heads * config.head_dim + 2 * config.num_kv_heads * config.head_dim +
         3 * sizes.intermediate_size;
}

/// Adds the all-gather of kept keys and values: everybody receives what all others kept.
void add_passing_bytes(const ApbConfig& config, const BlockLayout& layout, Index element_bytes,
                       std::vector<Counters>& work) {
  Index all_bytes = 0;
  std::vector<Index> own_bytes;
  for (const RankLayout& rank : layout.ranks) {
    own_bytes.push_back(checked_product(
        config, {2, rank.num_kept, config.num_kv_heads, config.head_dim, element_bytes}));
    all_bytes += own_bytes.back();
  }
  for (std::size_t rank = 0; rank < work.size(); ++rank) {
    work[rank].bytes_received += all_bytes - own_bytes[rank];
    work[rank].bytes_sent += checked_product(config, {own_bytes[rank], config.num_ranks - 1});
  }
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
    Counters counters{.rows_computed = rank.rows()};
    counters.attention_flop =
        checked_product(config, {4, config.head_dim, config.num_q_heads, visible_pairs(rank)});
    counters.projection_flop = checked_product(
        config, {2, rank.rows(), sizes.hidden_size, projection_width(config, sizes)});
    counters.compressor_flop = compressor_flop(config, rank, sizes);
    work.push_back(counters);
  }
  if (exchanges(config)) add_passing_bytes(config, layout, element_bytes, work);
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
