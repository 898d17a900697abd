#pragma once
/// \file
/// Attention of chosen rows and heads, computed apart from `attend`: the double reference that
/// candidates are judged by, and the low-precision emulation ("plain") that sets how far they may
/// be from it. Fast for a sample of rows of a very long rank: scores of a tile of rows are one
/// matrix product.

#include <span>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/attention_setup.hpp"

namespace apb {

/// out and lse of some rows and heads.
struct AttentionRows {
  std::vector<Index> rows;   ///< query rows, ascending
  std::vector<Index> heads;  ///< query heads, ascending
  HeadsTensor<double> out;   ///< [rows, heads, head_dim]
  Matrix<double> lse;        ///< [rows, heads], natural log
  double max_abs_score = 0;  ///< largest |scaled score| that is finite and visible
};

/// 0, 1, …, count - 1.
[[nodiscard]] std::vector<Index> count_up(Index count);

/// In double, exact but for rounding. A row that sees nothing has out = 0, lse = -inf; what is not
/// visible never matters, be it NaN. Does not depend on the number of threads.
[[nodiscard]] AttentionRows true_attention(const AttentionSetup& setup, std::span<const Index> rows,
                                           std::span<const Index> heads);

/// The emulation that the error budget is made from (budget.hpp): scores in fp32,
/// P = exp(score - max) rounded to the compute type, row sum of the unrounded P, products with
/// values in fp32, out rounded to the output type. A float64 type is emulated as float32: there is
/// no finer budget.
[[nodiscard]] AttentionRows plain_attention(const AttentionSetup& setup,
                                            std::span<const Index> rows,
                                            std::span<const Index> heads, ValueType compute_type,
                                            ValueType out_type);

}  // namespace apb
