#pragma once
/// \file
/// Exact softmax attention of some query rows over a list of key segments, with log-sum-exp.
///
/// Plain and two-pass: all scores of a tile of query rows, then their maximum, then weights and
/// weighted values. Memory is linear in the number of keys (kTileQ rows of scores per thread); no
/// n x n matrix is ever held. Which keys a row sees follows from segment and row only, never from
/// positions, so the same function serves prefill, query pass, decode and ring steps.

#include <cstdint>
#include <span>
#include <vector>

#include "reference/core/counters.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// Rows of queries that one task works on; results do not depend on it beyond rounding.
inline constexpr Index kTileQ = 64;

/// Which keys of a segment the query rows see.
enum class Visibility {
  kAll,     ///< every row sees every key
  kCausal,  ///< row i sees keys 0…i; the segment has as many keys as there are query rows
};

/// Keys and values of one segment.
template <class Scalar>
struct KeySegment {
  HeadsView<const Scalar> key;    ///< [keys, num_kv_heads, head_dim]
  HeadsView<const Scalar> value;  ///< [keys, num_kv_heads, head_dim]
  Visibility visibility = Visibility::kAll;
};

/// Attention over a part of the keys, mergeable with the other parts (merge.hpp).
template <class Scalar>
struct AttentionPartial {
  HeadsTensor<Scalar> out;  ///< [rows, num_q_heads, head_dim]
  Matrix<Scalar> lse;       ///< [rows, num_q_heads], natural log of sum of exp of scaled scores

  AttentionPartial() = default;
  AttentionPartial(Index rows, Index num_q_heads, Index head_dim)
      : out(rows, num_q_heads, head_dim), lse(rows, num_q_heads) {}
};

/// Attends query rows to all segments as if they were one sequence of keys.
///
/// A row that sees nothing has out = 0 and lse = -inf. A score of -inf has weight 0; NaN or +inf in
/// a visible score, or NaN in a visible value, gives NaN; what is not visible never matters.
///
/// \param query    [rows, num_q_heads, head_dim]
/// \param segments in key order; query head h reads KV head h / (num_q_heads / num_kv_heads)
/// \param counters attention_flop grows by 4 head_dim per visible pair and query head
/// \throws std::invalid_argument if shapes do not fit together
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> attend(const HeadsView<const Scalar>& query,
                                              std::span<const KeySegment<Scalar>> segments,
                                              double softmax_scale, Counters& counters);

}  // namespace apb
