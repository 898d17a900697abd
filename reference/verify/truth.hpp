#pragma once
/// \file
/// Attention of chosen rows and heads in double, computed apart from `attend`: the reference that
/// candidates are judged by. Fast for a sample of rows of a very long rank: scores of a tile of
/// rows are one matrix product.

#include <span>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/attention_setup.hpp"
#include "reference/verify/rounding_sizes.hpp"

namespace apb {

/// out and lse of some rows and heads.
struct AttentionRows {
  std::vector<Index> rows;   ///< query rows, ascending
  std::vector<Index> heads;  ///< query heads, ascending
  HeadsTensor<double> out;   ///< [rows, heads, head_dim]
  Matrix<double> lse;        ///< [rows, heads], natural log
};

/// The same, and what rounding can do to each row.
struct MeasuredAttention {
  AttentionRows truth;
  std::vector<RowSizes> sizes;  ///< [rows, heads]
};

/// 0, 1, …, count - 1.
[[nodiscard]] std::vector<Index> count_up(Index count);

/// Exact but for rounding in double. A row that sees nothing has out = 0, lse = -inf; what is not
/// visible never matters, be it NaN. Does not depend on the number of threads.
[[nodiscard]] AttentionRows true_attention(const AttentionSetup& setup, std::span<const Index> rows,
                                           std::span<const Index> heads);

/// \param weight_type that a candidate rounds its weights P to
[[nodiscard]] MeasuredAttention measured_attention(const AttentionSetup& setup,
                                                   std::span<const Index> rows,
                                                   std::span<const Index> heads,
                                                   ValueType weight_type);

}  // namespace apb
