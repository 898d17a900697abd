#pragma once
/// \file
/// Weights of a decoder-only transformer of the Llama family (Llama, Qwen2) and their file.

#include <string>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/core/weights/model_shape.hpp"
#include "reference/core/weights/retaining_head_weights.hpp"

namespace apb {

/// Matrices are [outputs, inputs], as model files have them.
template <class Scalar>
struct LayerWeights {
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
struct ModelWeights {
  ModelShape shape;
  Matrix<Scalar> embedding;  ///< [vocab_size, hidden_size]
  std::vector<LayerWeights<Scalar>> layers;
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
[[nodiscard]] ModelShape read_model_shape(const std::string& path);

/// Reads a weights file (made by `./apb import`). Stored values are converted to Scalar.
/// \throws BadInput if something is missing, of another shape, or impossible
template <class Scalar>
[[nodiscard]] ModelWeights<Scalar> read_model_weights(const std::string& path);

}  // namespace apb
