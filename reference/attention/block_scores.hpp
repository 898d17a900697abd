#pragma once
/// \file
/// Importance of every token of a block, before pooling, by each of the compressors.

#include "reference/attention/retaining_head.hpp"
#include "reference/core/block_layout.hpp"
#include "reference/core/communicator.hpp"
#include "reference/core/counters.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// Whether retaining heads are used: with one rank nothing is selected, so nothing is scored.
[[nodiscard]] bool scores_with_heads(const ApbConfig& config);

/// score[j, h] = mean over query rows i and over the query heads of KV head h's group of q_i · k_j,
/// unscaled, both after RoPE.
/// \param score_query [query rows, num_q_heads, head_dim], at least one row
/// \param block_key   [block_rows, num_kv_heads, head_dim]
/// \param counters    compressor_flop grows by the product of mean query and keys; the mean comes
///                    first, which gives the same numbers from one row instead of many
/// \returns [block_rows, num_kv_heads]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> query_aware_scores(const HeadsView<const Scalar>& score_query,
                                                const HeadsView<const Scalar>& block_key,
                                                Counters& counters);

/// A uniform hash of (seed, layer, KV head, doc_pos) in [0, 1): the same whatever the ranks.
[[nodiscard]] double random_score(std::uint64_t seed, Index layer, Index kv_head, Index doc_pos);

/// Rows of the embedded query that `query_aware` scores with on this rank. Rank 0 holds no query:
/// it receives rank 1's rows of this layer. Collective: every rank calls it.
/// \param query [rows, num_q_heads, head_dim] of this rank, anchor first, after RoPE
/// \returns [embedded_query_len, num_q_heads, head_dim]
template <class Scalar>
[[nodiscard]] HeadsTensor<Scalar> embedded_query_rows(const ApbConfig& config,
                                                      const RankLayout& layout,
                                                      const HeadsView<const Scalar>& query,
                                                      Communicator& communicator);

/// Scores of a block by `random` or `recent`, which look at no tensor.
/// \returns [block_rows, num_kv_heads]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> query_free_scores(const ApbConfig& config, const RankLayout& block,
                                               Index layer);

/// Scores of this rank's block by config.compressor (not kNone). Collective.
/// \param query     [rows, num_q_heads, head_dim], anchor first, after RoPE
/// \param block_key [block_rows, num_kv_heads, head_dim], after RoPE
/// \param retaining what `retaining_head` scores with; nothing for the others
/// \returns [block_rows, num_kv_heads]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> block_scores(const ApbConfig& config, const RankLayout& layout,
                                          Index layer, const HeadsView<const Scalar>& query,
                                          const HeadsView<const Scalar>& block_key,
                                          Communicator& communicator, Counters& counters,
                                          const RetainingInput<Scalar>& retaining = {});

}  // namespace apb
