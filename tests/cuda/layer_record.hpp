#pragma once
/// \file
/// What the steps of one decoder layer read and wrote on the GPU, and the verdict on each of them.
/// A step is judged on the inputs that it read itself, however far those are from another run's.

#include <string>
#include <vector>

#include "reference/core/value_type.hpp"
#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// Host copies, exactly as things lay on the device. Rows are those of positions 0, 1, …: one rank
/// holds the document, without an anchor.
struct LayerRecord {
  Matrix<double> hidden;            ///< [rows, hidden_size], before the layer
  Matrix<double> attention_normed;  ///< [rows, hidden_size]
  Matrix<double> qkv;               ///< [rows, (num_q_heads + 2 num_kv_heads) head_dim]
  Matrix<double> rotated;           ///< the same after RoPE
  Matrix<double> attention_out;     ///< [rows, num_q_heads head_dim]
  Matrix<double> lse;               ///< [rows, num_q_heads]
  Matrix<double> hidden_between;    ///< [rows, hidden_size], attention added
  Matrix<double> ffn_normed;        ///< [rows, hidden_size]
  Matrix<double> gate_up;           ///< [rows, 2 intermediate_size]
  Matrix<double> activated;         ///< [rows, intermediate_size], after SwiGLU
  Matrix<double> hidden_after;      ///< [rows, hidden_size]
};

struct StepVerdict {
  std::string step;
  double share = 0;  ///< of the budget that is used: right is at most 1
};

/// Judges every step of a layer: attention on all rows, the others on some 30 of them.
/// \param type  what weights and activations are rounded to
/// \param shift results are taken from as many rows further on: right only if 0
[[nodiscard]] std::vector<StepVerdict> judge_layer(const LayerRecord& record,
                                                   const ModelWeights<float>& weights, Index layer,
                                                   ValueType type, Index shift = 0);

}  // namespace apb
