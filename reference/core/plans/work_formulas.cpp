#include "reference/core/plans/work_formulas.hpp"

#include <numeric>

#include "reference/core/error.hpp"

namespace apb {
namespace {

/// Every product stays below this, so that a sum of two of them still fits 63 bits.
constexpr Index kMaxCount = Index{1} << 62;

/// Multiply-adds of one row in the seven matrices of a layer (query, output; key, value; gate, up,
/// down) are width * hidden_size in all.
Index projection_width(const ApbConfig& config, const LayerSizes& sizes) {
  return 2 * config.num_q_heads * config.head_dim + 2 * config.num_kv_heads * config.head_dim +
         3 * sizes.intermediate_size;
}

}  // namespace

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

Counters rows_work(const ApbConfig& config, Index rows, Index num_q_heads, Index pairs,
                   const LayerSizes& sizes) {
  Counters counters{.rows_computed = rows};
  counters.attention_flop = checked_product(config, {4, config.head_dim, num_q_heads, pairs});
  counters.projection_flop =
      checked_product(config, {2, rows, sizes.hidden_size, projection_width(config, sizes)});
  return counters;
}

Index key_value_bytes(const ApbConfig& config, Index rows, Index element_bytes) {
  return checked_product(config, {2, rows, config.num_kv_heads, config.head_dim, element_bytes});
}

void add_all_gather(const ApbConfig& config, const std::vector<Index>& own_bytes,
                    std::vector<Counters>& work) {
  const Index all_bytes = std::accumulate(own_bytes.begin(), own_bytes.end(), Index{0});
  for (std::size_t rank = 0; rank < work.size(); ++rank) {
    work[rank].bytes_received += all_bytes - own_bytes[rank];
    work[rank].bytes_sent += checked_product(config, {own_bytes[rank], config.num_ranks - 1});
  }
}

}  // namespace apb
