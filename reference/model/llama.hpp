#pragma once
/// \file
/// Shape and weights of a decoder-only transformer of the Llama family (Llama, Qwen2).

#include <string>
#include <vector>

#include "reference/attention/retaining_head.hpp"
#include "reference/core/tensor.hpp"

namespace apb {

/// Llama 3's change of the RoPE frequencies for contexts longer than those first trained. With
/// wavelengths w = 2 pi / frequency: unchanged if w < original_context_len / high_freq_factor,
/// divided by `factor` if w > original_context_len / low_freq_factor, mixed between.
struct RopeScaling {
  double factor = 1;  ///< 1: no scaling
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context_len = 8192;
};

/// Shape of a model; names as in the weights file.
struct LlamaConfig {
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

/// Matrices are [outputs, inputs], as model files have them.
template <class Scalar>
struct LlamaLayerWeights {
  Matrix<Scalar> attention_norm;  ///< [1, hidden_size]
  Matrix<Scalar> query;           ///< [num_q_heads * head_dim, hidden_size]
  Matrix<Scalar> key;             ///< [num_kv_heads * head_dim, hidden_size]
  Matrix<Scalar> value;           ///< [num_kv_heads * head_dim, hidden_size]
  Matrix<Scalar> query_bias{};    ///< [1, num_q_heads * head_dim]; empty: none (so in Llama)
  Matrix<Scalar> key_bias{};      ///< [1, num_kv_heads * head_dim]; empty: none
  Matrix<Scalar> value_bias{};    ///< [1, num_kv_heads * head_dim]; empty: none
  Matrix<Scalar> output;          ///< [hidden_size, num_q_heads * head_dim]
  Matrix<Scalar> ffn_norm;        ///< [1, hidden_size]
  Matrix<Scalar> gate;            ///< [intermediate_size, hidden_size]
  Matrix<Scalar> up;              ///< [intermediate_size, hidden_size]
  Matrix<Scalar> down;            ///< [hidden_size, intermediate_size]
};

template <class Scalar>
struct LlamaWeights {
  LlamaConfig config;
  Matrix<Scalar> embedding;  ///< [vocab_size, hidden_size]
  std::vector<LlamaLayerWeights<Scalar>> layers;
  Matrix<Scalar> final_norm;  ///< [1, hidden_size]
  Matrix<Scalar> head;        ///< [vocab_size, hidden_size]; empty: tied to embedding
  /// One per layer, for compressor retaining_head; empty: none (see retaining_heads_file.hpp).
  std::vector<RetainingHead<Scalar>> retaining_heads;

  /// The matrix that turns final hidden states into logits, [vocab_size, hidden_size].
  [[nodiscard]] const Matrix<Scalar>& logits_matrix() const {
    return head.size() == 0 ? embedding : head;
  }
};

/// The shape that a weights file states, after checking that all its weights are there and have the
/// shapes that follow from it; the weights themselves are not read.
/// \throws BadInput if something is missing, of another shape, or impossible
[[nodiscard]] LlamaConfig read_config(const std::string& path);

/// Reads a weights file (made by `./apb import`). Stored values are converted to Scalar.
/// \throws BadInput if something is missing, of another shape, or impossible
template <class Scalar>
[[nodiscard]] LlamaWeights<Scalar> read_weights(const std::string& path);

/// The shape of the toy model.
[[nodiscard]] LlamaConfig toy_config();

/// A model with seeded random weights over byte tokens, for machines without the real one. It knows
/// no language; everything else works as with a real model.
template <class Scalar>
[[nodiscard]] LlamaWeights<Scalar> toy_weights(std::uint64_t seed);

}  // namespace apb
