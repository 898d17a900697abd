#pragma once
/// \file
/// The parts of one decoder layer that need no other rank. Prefill and decode put attention between
/// project_qkv, rotate and finish_layer. T is Bfloat16 or Float16; every part rounds once.

#include <functional>
#include <span>

#include "cuda/model/device_model.hpp"
#include "cuda/stream.hpp"

namespace apb::cuda {

/// What a layer's time goes into.
enum class LayerPart {
  kNorms,          ///< both RMSNorms
  kQkv,            ///< the product of queries, keys and values
  kRope,           ///< and the copy of what is cached
  kScores,         ///< the compressor's scores
  kSelection,      ///< max-pool, top-k, gather into the send buffer
  kCommunication,  ///< what was waited for the all-gather, when nothing else was left to do
  kAttention,
  kOutput,       ///< the output product
  kFeedForward,  ///< gate, up and down products
  kActivation,   ///< SwiGLU
};
inline constexpr int kNumLayerParts = 10;

/// Called when a part's work has been enqueued: a benchmark records an event. May be empty.
using OnPart = std::function<void(LayerPart)>;

/// Room for the rows of one rank, used anew by every layer.
template <class T>
struct LayerRoom {
  /// \param positions of the rows, for RoPE
  /// \throws CudaError if there is not enough memory
  LayerRoom(const ModelShape& shape, std::span<const Index> positions, cudaStream_t stream);

  Index rows, num_q_heads, num_kv_heads, head_dim, hidden_size, intermediate_size;
  DeviceBuffer<T> hidden;         ///< [rows, hidden_size], the residual stream
  DeviceBuffer<T> normed;         ///< [rows, hidden_size]
  DeviceBuffer<T> qkv;            ///< [rows, (num_q_heads + 2 num_kv_heads) head_dim]
  DeviceBuffer<T> attention_out;  ///< [rows, num_q_heads, head_dim]
  DeviceBuffer<float> lse;        ///< [rows, num_q_heads]
  DeviceBuffer<T> gate_up;        ///< [some rows, 2 intermediate_size]
  DeviceBuffer<float> cosine;     ///< [rows, head_dim / 2]
  DeviceBuffer<float> sine;       ///< [rows, head_dim / 2]

  [[nodiscard]] DeviceRows<T> hidden_rows() const;
  [[nodiscard]] DeviceRows<T> normed_rows() const;
  [[nodiscard]] DeviceRows<T> qkv_rows() const;
  /// Parts of the fused product, where they lie.
  [[nodiscard]] DeviceHeads<T> query() const;
  [[nodiscard]] DeviceHeads<T> key() const;
  [[nodiscard]] DeviceHeads<T> value() const;
  [[nodiscard]] DeviceHeads<T> out() const;
};

/// Enqueues hidden = the tokens' embeddings. \throws BadInput for a token outside the vocabulary
template <class T>
void embed(const DeviceModel<T>& model, std::span<const int> tokens, const LayerRoom<T>& room,
           cudaStream_t stream);

/// Enqueues norm, fused product and biases of one layer: hidden -> qkv, before RoPE.
template <class T>
void project_qkv(const DeviceModel<T>& model, Index layer, const LayerRoom<T>& room,
                 MatrixProducts& products, cudaStream_t stream, const OnPart& on_part);

/// Enqueues RoPE of queries and keys, in place.
template <class T>
void rotate(const LayerRoom<T>& room, cudaStream_t stream);

/// Enqueues output product and feed-forward network, both added to hidden: attention_out -> hidden.
template <class T>
void finish_layer(const DeviceModel<T>& model, Index layer, const LayerRoom<T>& room,
                  MatrixProducts& products, cudaStream_t stream, const OnPart& on_part);

/// Logits of chosen rows of final hidden states (before the final norm), in host memory,
/// [chosen rows, vocab_size]. Waits for the stream.
/// \param hidden [rows, hidden_size]
template <class T>
[[nodiscard]] std::vector<float> logits(const DeviceModel<T>& model,
                                        const DeviceRows<const T>& hidden,
                                        std::span<const Index> rows, MatrixProducts& products,
                                        cudaStream_t stream);

}  // namespace apb::cuda
