#pragma once
/// \file
/// One layer of prefill on one rank of zigzag ring attention: an early and a late chunk of the
/// document, all keys and values in turn (reference/methods/zigzag_ring.cpp says who sees what).

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/layer_marks.hpp"
#include "cuda/benchmarks/ring_merge.hpp"
#include "cuda/prefill.hpp"

namespace apb::cuda {

/// One run of a ring's layer.
struct RingRun {
  LayerRun layer;              ///< attention with its merges, all steps together
  std::vector<double> step_s;  ///< attention and merge of each step; the first needs no partner
  double total_s = 0;
};

class RingLayer;

/// What brings the other ranks' keys and values (RingLayer::message).
class RingMessages {
 public:
  RingMessages() = default;
  RingMessages(const RingMessages&) = delete;
  RingMessages& operator=(const RingMessages&) = delete;
  RingMessages(RingMessages&&) = delete;
  RingMessages& operator=(RingMessages&&) = delete;
  virtual ~RingMessages() = default;

  /// Enqueues the way of all messages around the ring: what this rank's own holds, after RoPE, has
  /// been enqueued on `stream`.
  virtual void begin(const RingLayer& layer, cudaStream_t stream) = 0;
  /// Work given to `stream` from now on starts when the message of this step has arrived.
  virtual void await(int step, cudaStream_t stream) = 0;
};

/// A rank with random activations, the same at the same position of the document whichever rank has
/// them, and random keys and values of all others until messages bring their own.
class RingLayer {
 public:
  /// \param model    of one layer; must outlive this
  /// \param messages null: no partner is there, and what lies in the messages' places is read. Must
  ///                 outlive this
  /// \throws CudaError if there is not enough memory
  RingLayer(Index doc_len, int num_ranks, int rank, const DeviceModel<Bfloat16>& model,
            RingMessages* messages = nullptr);

  /// Runs the layer once and waits. \param before called when the inputs lie there
  RingRun run(const std::function<void(cudaStream_t)>& before);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int num_ranks() const { return num_ranks_; }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const { return room_; }
  [[nodiscard]] const DeviceBuffer<float>& lse() const { return sum_lse_; }
  [[nodiscard]] std::vector<Index> positions() const;  ///< of the rows: early chunk, then late
  /// Rows of a rank's early and late chunk.
  [[nodiscard]] Index early_rows(int rank) const { return chunk_rows(rank); }
  [[nodiscard]] Index late_rows(int rank) const { return chunk_rows(2 * num_ranks_ - 1 - rank); }
  /// What a rank's message holds, early rows first; not this rank's own, unless `messages` put it
  /// there.
  [[nodiscard]] KeysAndValues<Bfloat16> received(int owner) const;
  /// The keys (half 0) or values (half 1) of a rank's message, where they lie, dense.
  [[nodiscard]] DeviceRows<Bfloat16> message(int owner, int half) const;
  /// Bytes of a message of `owner`'s.
  [[nodiscard]] std::size_t message_bytes(int owner) const;
  /// The rank whose message is used in a step, from 1.
  [[nodiscard]] int owner(int step) const { return (rank_ - step + num_ranks_) % num_ranks_; }

 private:
  [[nodiscard]] Index chunk_rows(int chunk) const {
    return chunks_[static_cast<std::size_t>(chunk)].count();
  }
  /// Rows that any rank may hold: no chunk is longer than the first.
  [[nodiscard]] Index most_rows() const { return 2 * chunk_rows(0); }
  void attend_step(int step);

  int rank_, num_ranks_;
  std::vector<Chunk> chunks_;  ///< of the document, 2 num_ranks
  const DeviceModel<Bfloat16>& model_;
  RingMessages* messages_;
  Stream stream_;
  MatrixProducts products_;
  LayerRoom<Bfloat16> room_;
  DeviceBuffer<Bfloat16> others_;  ///< [num_ranks][key, value][most_rows(), num_kv_heads, head_dim]
  DeviceBuffer<float> sum_out_;    ///< [rows, num_q_heads, head_dim]
  DeviceBuffer<float> sum_lse_;    ///< [rows, num_q_heads]
};

}  // namespace apb::cuda
