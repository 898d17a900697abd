#pragma once
/// \file
/// One attention layer of a whole system on random tokens, and what it must give: the mask of
/// visibility.hpp, pair by pair. No RoPE: a token has the same query, key and value wherever it
/// stands.

#include <vector>

#include "reference/core/heads_tensor.hpp"
#include "reference/methods/method.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {

/// Rows with their projections.
template <class Scalar>
struct TokenTensors {
  HeadsTensor<Scalar> query;  ///< [rows, num_q_heads, head_dim]
  HeadsTensor<Scalar> key;    ///< [rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [rows, num_kv_heads, head_dim]
};

/// What one rank computed.
template <class Scalar>
struct RankRun {
  RankLayout layout;
  TokenTensors<Scalar> rows;  ///< its rows, anchor first
  LayerOutput<Scalar> output;
  Counters counters;  ///< of the layer, bytes included
};

/// A small configuration with 6 query heads on 2 KV heads; everything else at its default.
[[nodiscard]] ApbConfig small_config(Index doc_len, int num_ranks);

/// A configuration like small_config with random lengths, ranks (1 to 6), blocks (equal, uneven,
/// empty), anchor, convention, embedded query, compressor and number of kept entries.
[[nodiscard]] ApbConfig random_config(RandomTensors& random);

/// Document tokens first, then the embedded query's.
template <class Scalar>
[[nodiscard]] TokenTensors<Scalar> random_tokens(const ApbConfig& config, RandomTensors& random);

/// Runs one layer on local ranks.
/// \param config as the user gives it; the method adapts it
template <class Scalar>
[[nodiscard]] std::vector<RankRun<Scalar>> run_layer(Method method, const ApbConfig& config,
                                                     const TokenTensors<Scalar>& tokens);

/// What a rank must have computed, by is_visible alone.
struct ExpectedRank {
  AttentionPartial<double> attention;
  Index visible_pairs = 0;  ///< (row, key) pairs, for one head
};

/// \param runs all ranks' (for what the lower ones kept)
template <class Scalar>
[[nodiscard]] ExpectedRank expected_rank(const ApbConfig& config,
                                         const std::vector<RankRun<Scalar>>& runs, int rank);

/// Attention of all document tokens, from the rows that ranks cache, in the document's order. Not
/// for a fused query. (lse is not set by Ulysses.)
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> document_attention(const std::vector<RankRun<Scalar>>& runs);

/// Rows [begin, begin + count) of a partial.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> rows_of(const AttentionPartial<Scalar>& partial, Index begin,
                                               Index count);

}  // namespace apb
