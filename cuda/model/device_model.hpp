#pragma once
/// \file
/// Weights of a decoder-only transformer in device memory.

#include <vector>

#include "cuda/device_buffer.hpp"
#include "cuda/selection/block_scores.hpp"
#include "reference/core/weights/model_shape.hpp"

namespace apb {
template <class Scalar>
struct ModelWeights;
}

namespace apb::cuda {

/// One layer. Matrices are [outputs, inputs]; those that read the same rows lie one after the
/// other, so that one product serves them all.
template <class T>
struct DeviceLayer {
  DeviceBuffer<T> attention_norm;  ///< [hidden_size]
  DeviceBuffer<T> qkv;             ///< [(num_q_heads + 2 num_kv_heads) head_dim, hidden_size]
  DeviceBuffer<T> qkv_bias;        ///< [(num_q_heads + 2 num_kv_heads) head_dim]; empty: none
  DeviceBuffer<T> output;          ///< [hidden_size, num_q_heads head_dim]
  DeviceBuffer<T> ffn_norm;        ///< [hidden_size]
  DeviceBuffer<T> gate_up;         ///< [2 intermediate_size, hidden_size]: gate, then up
  DeviceBuffer<T> down;            ///< [hidden_size, intermediate_size]
  DeviceBuffer<T> retaining_fc1;   ///< see DeviceRetainingHead; empty: none
  DeviceBuffer<T> retaining_fc2;   ///< empty: none, or a linear head
};

/// A whole model. It is read only: ranks of one process share it.
template <class T>
struct DeviceModel {
  ModelShape shape;
  DeviceBuffer<T> embedding;  ///< [vocab_size, hidden_size]
  std::vector<DeviceLayer<T>> layers;
  DeviceBuffer<T> final_norm;  ///< [hidden_size]
  DeviceBuffer<T> head;        ///< [vocab_size, hidden_size]; empty: tied to embedding
  Index retaining_hidden = 0;  ///< units of the retaining heads; 0: linear heads, or none

  /// Columns of the fused product of queries, keys and values.
  [[nodiscard]] Index qkv_columns() const {
    return (shape.num_q_heads + 2 * shape.num_kv_heads) * shape.head_dim;
  }
  [[nodiscard]] const T* logits_matrix() const {
    return head.size() == 0 ? embedding.data() : head.data();
  }
  [[nodiscard]] bool has_retaining_heads() const {
    return !layers.empty() && layers.front().retaining_fc1.size() > 0;
  }
  /// The retaining head of a layer, which there must be.
  [[nodiscard]] DeviceRetainingHead<T> retaining_head(Index layer) const;
};

/// Rounds weights to T and copies them. \throws CudaError if there is not enough memory
template <class T>
[[nodiscard]] DeviceModel<T> to_device(const ModelWeights<float>& weights, cudaStream_t stream);

}  // namespace apb::cuda
