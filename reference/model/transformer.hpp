#pragma once
/// \file
/// The parts of one decoder layer that need no other rank. Prefill and decode put attention between
/// project_qkv and finish_layer.

#include <span>
#include <vector>

#include "reference/core/counters.hpp"
#include "reference/core/tensor.hpp"
#include "reference/model/llama.hpp"

namespace apb {

/// Rotation angles of a list of positions, half-split layout: element i turns with i + head_dim / 2
/// by the angle position * theta^(-2 i / head_dim), after scaling. Computed in double.
template <class Scalar>
struct RopeTable {
  Matrix<Scalar> cosine;  ///< [rows, head_dim / 2]
  Matrix<Scalar> sine;    ///< [rows, head_dim / 2]

  RopeTable(std::span<const Index> positions, Index head_dim, double theta,
            const RopeScaling& scaling);
  /// As the model has it.
  RopeTable(std::span<const Index> positions, const LlamaConfig& config)
      : RopeTable(positions, config.head_dim, config.rope_theta, config.rope_scaling) {}
};

/// The frequency that a model with this scaling uses instead of `frequency` (radians a token).
[[nodiscard]] double scaled_frequency(double frequency, const RopeScaling& scaling);

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
[[nodiscard]] Matrix<Scalar> embed(const LlamaWeights<Scalar>& weights,
                                   std::span<const int> tokens);

/// Norm, projections, biases and RoPE of one layer.
/// \param hidden       [rows, hidden_size]
/// \param counters     projection_flop grows
/// \param feature_rows rows, counted from the last, whose features are kept
template <class Scalar>
[[nodiscard]] Qkv<Scalar> project_qkv(const LlamaWeights<Scalar>& weights, Index layer,
                                      const Matrix<Scalar>& hidden, const RopeTable<Scalar>& rope,
                                      Counters& counters, Index feature_rows = 0);

/// Output projection and feed-forward network, both added to `hidden`.
/// \param attention_out [rows, num_q_heads, head_dim]
/// \param hidden        [rows, hidden_size], updated
/// \param counters      projection_flop grows
template <class Scalar>
void finish_layer(const LlamaWeights<Scalar>& weights, Index layer,
                  const HeadsTensor<Scalar>& attention_out, Matrix<Scalar>& hidden,
                  Counters& counters);

/// Logits of rows of final hidden states (before the final norm), [rows, vocab_size].
template <class Scalar>
[[nodiscard]] Matrix<Scalar> logits(const LlamaWeights<Scalar>& weights,
                                    const Matrix<Scalar>& hidden);

}  // namespace apb
