#pragma once
/// \file
/// The parts of one decoder layer that need no other rank. Prefill and decode put attention between
/// project_qkv and finish_layer.

#include <span>
#include <vector>

#include "reference/core/counters.hpp"
#include "reference/core/matrix.hpp"
#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// Turns every head of every row in place.
/// \param heads [rows, any heads, head_dim], one row per position of the table
template <class Scalar>
void apply_rope(const RopeTable<Scalar>& table, const HeadsView<Scalar>& heads);

/// x / sqrt(mean(x^2) + eps) * weight, row by row.
/// \param weight [1, columns]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> rms_norm(const Matrix<Scalar>& x, const Matrix<Scalar>& weight,
                                      double eps);

/// Query, key and value of one layer, after RoPE.
template <class Scalar>
struct Qkv {
  HeadsTensor<Scalar> query;  ///< [rows, num_q_heads, head_dim]
  HeadsTensor<Scalar> key;    ///< [rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [rows, num_kv_heads, head_dim]
  /// What a retaining head scores with: q, k, v before RoPE of the last `feature_rows` rows,
  /// [feature_rows, (num_q_heads + 2 num_kv_heads) head_dim].
  Matrix<Scalar> features{};
};

/// Token embeddings, [tokens, hidden_size].
/// \throws BadInput for a token outside the vocabulary
template <class Scalar>
[[nodiscard]] Matrix<Scalar> embed(const ModelWeights<Scalar>& weights,
                                   std::span<const int> tokens);

/// Norm, projections, biases and RoPE of one layer.
/// \param hidden       [rows, hidden_size]
/// \param counters     projection_flop grows
/// \param feature_rows rows, counted from the last, whose features are kept
template <class Scalar>
[[nodiscard]] Qkv<Scalar> project_qkv(const ModelWeights<Scalar>& weights, Index layer,
                                      const Matrix<Scalar>& hidden, const RopeTable<Scalar>& rope,
                                      Counters& counters, Index feature_rows = 0);

/// Output projection and feed-forward network, both added to `hidden`.
/// \param attention_out [rows, num_q_heads, head_dim]
/// \param hidden        [rows, hidden_size], updated
/// \param counters      projection_flop grows
template <class Scalar>
void finish_layer(const ModelWeights<Scalar>& weights, Index layer,
                  const HeadsTensor<Scalar>& attention_out, Matrix<Scalar>& hidden,
                  Counters& counters);

/// Logits of rows of final hidden states (before the final norm), [rows, vocab_size].
template <class Scalar>
[[nodiscard]] Matrix<Scalar> logits(const ModelWeights<Scalar>& weights,
                                    const Matrix<Scalar>& hidden);

}  // namespace apb
