#pragma once
/// \file
/// One validated description of a distributed prefill: lengths, ranks, heads, anchor convention,
/// selection. Everything that depends on a length is derived from this (see block_layout.hpp).

#include <cstdint>
#include <string_view>
#include <vector>

#include "reference/core/index.hpp"

namespace apb {

/// Where the embedded query sits in the anchor block.
enum class AnchorConvention {
  kPaper,     ///< query rows first, then `anchor_len` document tokens (APB paper, section 3.3)
  kOfficial,  ///< `anchor_len` rows in all, the query after `query_insert_at` of them (authors'
              ///< code)
};

/// What gives every token of a block its importance.
enum class Compressor {
  kNone,           ///< nothing is kept or passed
  kQueryAware,     ///< mean dot product with the embedded query's rows
  kRandom,         ///< a hash of seed, layer, KV head and document position
  kRecent,         ///< later tokens first
  kRetainingHead,  ///< a trained head on the token's q, k, v before RoPE (needs weights)
};

[[nodiscard]] std::string_view to_string(AnchorConvention convention);
[[nodiscard]] std::string_view to_string(Compressor compressor);

/// Inverse of to_string. \throws BadInput on an unknown name, listing the known ones.
[[nodiscard]] AnchorConvention parse_anchor_convention(std::string_view name);
/// \copydoc parse_anchor_convention
[[nodiscard]] Compressor parse_compressor(std::string_view name);

/// The configuration of one prefill. Lengths are in tokens (rows).
struct ApbConfig {
  Index doc_len = 0;
  int num_ranks = 1;
  std::vector<Index>
      block_lens;  ///< tokens owned by each rank; empty: ceil(doc_len / num_ranks) each

  Index query_len = 0;           ///< rows of the query pass (after the document)
  Index embedded_query_len = 0;  ///< query rows inside each anchor block; 0: query not embedded
  Index anchor_len = 0;          ///< see AnchorConvention; 0: no document tokens in the anchor
  AnchorConvention anchor_convention = AnchorConvention::kPaper;
  Index query_insert_at = 0;  ///< `official` only: anchor document tokens before the query

  Compressor compressor = Compressor::kNone;
  Index num_kept = 0;     ///< entries that a rank keeps and passes, per KV head (the paper's l_p)
  Index pool_kernel = 5;  ///< odd width of the max-pool over importances; 1: no pooling
  std::uint64_t seed = 0;

  double ape_temperature = 1.0;  ///< APE: divides the query's scores against contexts
  double ape_scale = 1.0;        ///< APE: scales their log-sum-exp, with the temperature

  Index num_q_heads = 1;
  Index num_kv_heads = 1;
  Index head_dim = 1;
  double softmax_scale = 1.0;

  /// Query heads that share one KV head: query head h reads KV head h / group_size.
  [[nodiscard]] Index group_size() const { return num_q_heads / num_kv_heads; }

  /// Tokens owned by each rank, whether given or equal. \throws BadInput if num_ranks cannot be
  [[nodiscard]] std::vector<Index> resolved_block_lens() const;

  /// \throws BadInput naming the first value that cannot be, and what is allowed.
  void validate() const;
};

}  // namespace apb
