#pragma once
/// \file
/// Which entries of a block are kept: pooled importance and an exact, deterministic top-k.

#include <span>
#include <vector>

#include "reference/core/block_layout.hpp"
#include "reference/core/counters.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// What one rank keeps in one layer.
template <class Scalar>
struct Selection {
  Matrix<Scalar> importance;  ///< [block_rows, num_kv_heads], pooled; -inf where not a candidate
  std::vector<std::vector<Index>> kept_positions;  ///< [num_kv_heads][kept], doc_pos ascending
};

/// Max over a window of `kernel` (odd) rows, per column; beyond the edges counts as -inf.
/// NaN in a window gives NaN, so that a broken score stays visible.
template <class Scalar>
[[nodiscard]] Matrix<Scalar> max_pool(const Matrix<Scalar>& scores, Index kernel);

/// Indices of the `count` largest values (all, if there are fewer), ascending.
/// Order: larger first, then lower index; -0 equals +0; NaN last. Exact on the bits given.
/// \param nan_count grows by the NaN values met
template <class Scalar>
[[nodiscard]] std::vector<Index> select_top_k(std::span<const Scalar> values, Index count,
                                              std::int64_t& nan_count);

/// Pools raw scores of a block, rules out what is no candidate and selects per KV head.
/// \param scores   [block_rows, num_kv_heads]
/// \param counters nan_scores grows
template <class Scalar>
[[nodiscard]] Selection<Scalar> select_block(const Matrix<Scalar>& scores, const RankLayout& layout,
                                             Index pool_kernel, Counters& counters);

}  // namespace apb
