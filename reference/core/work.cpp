#include "reference/core/work.hpp"

#include <algorithm>
#include <initializer_list>
#include <numeric>

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

/// Work of a rank that computes `rows` rows and sees `pairs` (row, key) pairs with `num_q_heads`.
Counters computing(const ApbConfig& config, Index rows, Index num_q_heads, Index pairs,
                   const LayerSizes& sizes) {
  Counters counters{.rows_computed = rows};
  counters.attention_flop = checked_product(config, {4, config.head_dim, num_q_heads, pairs});
  counters.projection_flop =
      checked_product(config, {2, rows, sizes.hidden_size, projection_width(config, sizes)});
  return counters;
}

/// Bytes of keys and values of some rows.
Index key_value_bytes(const ApbConfig& config, Index rows, Index element_bytes) {
  return checked_product(config, {2, rows, config.num_kv_heads, config.head_dim, element_bytes});
}

/// Adds what goes around a ring: every rank receives all others' rows, and sends on all that it
/// holds but the last, those of the rank behind it.
void add_ring_bytes(const ApbConfig& config, Index element_bytes, std::vector<Counters>& work) {
  for (std::size_t rank = 0; rank < work.size(); ++rank) {
    const Index next_rows = work[(rank + 1) % work.size()].rows_computed;
    work[rank].bytes_received =
        key_value_bytes(config, config.doc_len - work[rank].rows_computed, element_bytes);
    work[rank].bytes_sent = key_value_bytes(config, config.doc_len - next_rows, element_bytes);
  }
}

/// Adds an all-gather: everybody receives what all others give.
void add_all_gather(const ApbConfig& config, const std::vector<Index>& own_bytes,
                    std::vector<Counters>& work) {
  const Index all_bytes = std::accumulate(own_bytes.begin(), own_bytes.end(), Index{0});
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
    Counters counters =
        computing(config, rank.rows(), config.num_q_heads, visible_pairs(rank), sizes);
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

std::vector<Counters> ring_work(const ApbConfig& config, Index element_bytes,
                                const LayerSizes& sizes) {
  config.validate();
  std::vector<Counters> work;
  Index before = 0;
  for (const Index block_len : config.resolved_block_lens()) {
    const Index pairs = triangle(block_len) + block_len * before;
    work.push_back(computing(config, block_len, config.num_q_heads, pairs, sizes));
    before += block_len;
  }
  add_ring_bytes(config, element_bytes, work);
  return work;
}

std::vector<Counters> zigzag_ring_work(const ApbConfig& config, Index element_bytes,
                                       const LayerSizes& sizes) {
  config.validate();
  const auto chunks = equal_chunks(0, config.doc_len, 2 * Index{config.num_ranks});
  std::vector<Counters> work;
  for (std::size_t r = 0; r < chunks.size() / 2; ++r) {
    Index rows = 0;
    Index pairs = 0;
    for (const Chunk& chunk : {chunks[r], chunks[chunks.size() - 1 - r]}) {
      rows += chunk.count();
      pairs += triangle(chunk.count()) + chunk.count() * chunk.begin;
    }
    work.push_back(computing(config, rows, config.num_q_heads, pairs, sizes));
  }
  add_ring_bytes(config, element_bytes, work);
  return work;
}

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
    Counters counters = computing(config, rows, q_heads, triangle(config.doc_len), sizes);
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

std::vector<Counters> spava_work(const ApbConfig& config, Index element_bytes,
                                 const LayerSizes& sizes) {
  config.validate();
  const Index num_ranks = config.num_ranks;
  const auto chunks = equal_chunks(config.anchor_len, config.doc_len, 2 * num_ranks);
  const bool keeps = config.compressor != Compressor::kNone;
  std::vector<Index> kept;         // of each virtual rank
  std::vector<Index> kept_before;  // by all virtual ranks before it
  for (const Chunk& chunk : chunks) {
    kept_before.push_back(kept.empty() ? 0 : kept_before.back() + kept.back());
    kept.push_back(keeps ? std::min(config.num_kept, chunk.count()) : 0);
  }
  const Index query_rows = config.embedded_query_len;
  std::vector<Counters> work;
  for (Index r = 0; r < num_ranks; ++r) {
    const Index anchor_part =
        (r + 1) * config.anchor_len / num_ranks - r * config.anchor_len / num_ranks;
    Index rows = config.anchor_len + query_rows;
    Index pairs = triangle(config.anchor_len) + query_rows * anchor_part +
                  (r == 0 ? triangle(query_rows) : 0);
    Index block_rows = 0;
    for (const Index v : {r, 2 * num_ranks - 1 - r}) {
      const Index chunk_len = chunks[static_cast<std::size_t>(v)].count();
      block_rows += chunk_len;
      pairs += triangle(chunk_len) +
               chunk_len * (config.anchor_len + kept_before[static_cast<std::size_t>(v)]) +
               query_rows * chunk_len;
    }
    rows += block_rows;
    work.push_back(computing(config, rows, config.num_q_heads, pairs, sizes));
    if (config.compressor == Compressor::kQueryAware) {
      work.back().compressor_flop =
          checked_product(config, {2, block_rows, config.num_kv_heads, config.head_dim});
    }
  }
  std::vector<Index> own_bytes;
  for (std::size_t r = 0; r < work.size(); ++r) {
    const Index own_kept = kept[r] + kept[kept.size() - 1 - r];
    const Index query_bytes = checked_product(
        config, {query_rows, config.num_q_heads, config.head_dim + 1, element_bytes});  // out, lse
    own_bytes.push_back(key_value_bytes(config, own_kept, element_bytes) + query_bytes);
  }
  add_all_gather(config, own_bytes, work);
  return work;
}

}  // namespace apb
