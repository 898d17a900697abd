#pragma once
/// \file
/// Shape of a decoder-only transformer of the Llama family (Llama, Qwen2): sizes and constants,
/// without weights.

#include <span>
#include <string>
#include <vector>

#include "reference/core/config.hpp"
#include "reference/core/weights/rope.hpp"

namespace apb {

/// Names as in the weights file.
struct ModelShape {
  std::string name;
  Index num_layers = 0;
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index num_q_heads = 0;
  Index num_kv_heads = 0;
  Index head_dim = 0;
  Index vocab_size = 0;
  Index context_len = 0;  ///< tokens the model was trained for
  double rope_theta = 0;
  RopeScaling rope_scaling{};
  double rms_norm_eps = 0;
  std::vector<Index> eos_token_ids{};  ///< each ends an answer
};

/// The rotations of rows at these positions, as the model has them.
template <class Scalar>
[[nodiscard]] RopeTable<Scalar> rope_table(std::span<const Index> positions,
                                           const ModelShape& model) {
  return {positions, model.head_dim, model.rope_theta, model.rope_scaling};
}

/// The part of an ApbConfig that the model decides: heads, head_dim, softmax scale
/// 1/sqrt(head_dim).
void set_model_shape(ApbConfig& config, const ModelShape& model);

}  // namespace apb
