#pragma once
/// \file
/// Whether a step of a layer is right, judged on the very inputs that it read: RMSNorm, RoPE,
/// SwiGLU, and products of activations and weights. For whatever rows are handed over.
///
/// A right step computes in fp32 and rounds once. So the truth in double must lie within `slack` of
/// some number that rounds to what was found; the share of the slack that this takes is the
/// verdict, and rounding to the output type itself takes none of it: an output cut off instead of
/// rounded takes many times the slack. With v = 2^-24, a rounding of fp32:
///
///   RMSNorm   (sqrt(columns) / 2 + 8) v |y|      the sum of n squares in sqrt(n) parts or more,
///             as threads take them: 2 sqrt(n) roundings, v / 2 each on average; the root halves
///             that. (One chain of n loses more: squares of 16-bit numbers end in ties, and after
///             a tie to even the next one goes down again)
///   RoPE      4 v (|a cos| + |b sin|)            cosine, sine, products and sum
///   SwiGLU    (|gate| + 16) v |y| + 2^-121 |up|  exp, whose argument is rounded; beyond 88.7 it
///             overflows in fp32, and a silu of less than 2^-121 is 0
///   product   (inputs / 8 + 8) v A               A = sum |x_i w_i| + |bias| + |what it is added
///             to|. A tensor core cuts off: after every 8 products at most 2 v of a partial sum,
///             which grows to A, half of A on average
///   product added to what is there, on top       half a last place of the product: it may be
///             rounded to the output type before it is added
///
/// A result that is NaN or infinite where the truth is not is wrong.

#include "reference/core/matrix.hpp"
#include "reference/core/value_type.hpp"
#include "reference/core/weights/rope.hpp"

namespace apb {

/// What a step's rows must be, before they are rounded to the output type.
struct StepTruth {
  Matrix<double> value;  ///< [rows, columns]
  Matrix<double> slack;  ///< the same shape: what fp32 may lose of each element
};

/// x / sqrt(mean of x^2 + eps) * weight, row by row.
/// \param x      [rows, columns]
/// \param weight [1, columns]
[[nodiscard]] StepTruth true_rms_norm(const Matrix<double>& x, const Matrix<double>& weight,
                                      double eps);

/// Every head of every row turned, half-split layout.
/// \param x      [rows, heads * head_dim]
/// \param angles of the same rows, head_dim / 2 each
[[nodiscard]] StepTruth true_rope(const Matrix<double>& x, const RopeTable<double>& angles);

/// silu(gate) * up, silu(x) = x / (1 + exp(-x)). \param gate,up [rows, columns]
[[nodiscard]] StepTruth true_swiglu(const Matrix<double>& gate, const Matrix<double>& up);

/// y = x w^T, with a bias, added to what is there, or neither.
struct ProductInputs {
  const Matrix<double>& x;                ///< [rows, inputs]
  const Matrix<double>& w;                ///< [outputs, inputs]
  const Matrix<double>* bias = nullptr;   ///< [1, outputs]; null: none
  const Matrix<double>* there = nullptr;  ///< [rows, outputs], y before the product; null: nothing
};
[[nodiscard]] StepTruth true_product(const ProductInputs& inputs, ValueType out_type);

/// How much of the slack the worst element takes, and which it is.
struct StepUse {
  double share = 0;  ///< right: at most 1. Infinite for NaN
  Index row = -1, column = -1;
  double found = 0, truth = 0;

  [[nodiscard]] bool is_right() const { return share <= 1; }
};

/// Judges what a step wrote, exactly as it lies in `out_type`, against the truth of the same rows.
/// \throws std::invalid_argument if shapes differ
[[nodiscard]] StepUse step_use(const Matrix<double>& found, const StepTruth& truth,
                               ValueType out_type);

}  // namespace apb
