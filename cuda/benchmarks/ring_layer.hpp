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

/// A rank with random activations and random keys and values of all others.
class RingLayer {
 public:
  /// \param model of one layer; must outlive this
  /// \throws CudaError if there is not enough memory
  RingLayer(Index doc_len, int num_ranks, int rank, const DeviceModel<Bfloat16>& model);

  /// Runs the layer once and waits. \param before called when the inputs lie there
  RingRun run(const std::function<void(cudaStream_t)>& before);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int num_ranks() const { return num_ranks_; }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const { return room_; }
  [[nodiscard]] const DeviceBuffer<float>& lse() const { return sum_lse_; }
  /// Rows of a rank's early and late chunk.
  [[nodiscard]] Index early_rows(int rank) const { return chunk_rows(rank); }
  [[nodiscard]] Index late_rows(int rank) const { return chunk_rows(2 * num_ranks_ - 1 - rank); }
  /// What a rank's message holds, early rows first; not this rank's own.
  [[nodiscard]] KeysAndValues<Bfloat16> received(int owner) const;
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
  [[nodiscard]] std::vector<Index> positions() const;
  void attend_step(int step);

  int rank_, num_ranks_;
  std::vector<Chunk> chunks_;  ///< of the document, 2 num_ranks
  const DeviceModel<Bfloat16>& model_;
  Stream stream_;
  MatrixProducts products_;
  LayerRoom<Bfloat16> room_;
  DeviceBuffer<Bfloat16> others_;  ///< [num_ranks][key, value][most_rows(), num_kv_heads, head_dim]
  DeviceBuffer<float> sum_out_;    ///< [rows, num_q_heads, head_dim]
  DeviceBuffer<float> sum_lse_;    ///< [rows, num_q_heads]
};

}  // namespace apb::cuda
