#pragma once
/// \file
/// What every method's layer is made of: projections before the attention, output and feed-forward
/// after it, and the exchanges between. Methods add what is their own.

#include "reference/core/block_layout.hpp"
#include "sim/work/job.hpp"
#include "sim/work/layer_plan.hpp"

namespace apb::sim {

class BlockLengths;

/// How an attention library takes [anchor, passing, block].
struct SegmentStyle {
  bool fused = false;        ///< one kernel; else one a piece and a merge
  bool copied = false;       ///< only as one contiguous tensor, which must be put together first
  bool ring_merges = false;  ///< the times of a ring's steps hold the merges of their results
};

/// What a method writes its plan from.
struct PlanInput {
  const Job& job;
  const ApbConfig& config;    ///< as the method runs it
  const BlockLayout& layout;  ///< of that configuration
  SegmentStyle style;
  Chunk piece;  ///< document tokens of this pass; all of them unless a pipeline takes pieces
  bool each_ring_step = false;  ///< whether steps of a ring that are alike are listed one by one
  bool overlapped = false;      ///< whether the exchange may hide behind part of the attention
};

/// Fills a LayerPlan from front to back. Rows are those of one prompt; a batch multiplies them
/// here.
class PlanBuilder {
 public:
  /// \param tensor_parallel GPUs that share each rank's heads and columns
  PlanBuilder(const Job& job, int num_ranks, Index tensor_parallel, LayerPlan& plan);

  /// What follows runs beside the current step's exchange, until next_step.
  void beside_exchange() { target_ = &plan_.steps.back().during; }
  /// Ends the current step, without an exchange or with the one it was given.
  void next_step();

  /// Norm, QKV, RoPE.
  void project(int rank, Index rows);
  /// One attention kernel over `pairs` visible (row, key) pairs a head.
  /// \param keys rows of keys and values that it reads
  /// \param heads query heads of this GPU (own_heads() of them unless a method deals heads out)
  void attend(int rank, Index rows, Index pairs, Index keys, MaskKind mask, Index heads);
  void attend(int rank, Index rows, Index pairs, Index keys, MaskKind mask) {
    attend(rank, rows, pairs, keys, mask, own_q_heads());
  }
  /// Attention to blocks of `keys` rows, all visible, `times` of them one after the other.
  void attend_blocks(int rank, Index rows, Index keys, Index times);
  /// Results of `times` steps of a ring, each added up in fp32 to those before it.
  void merge_steps(int rank, Index rows, Index times);
  /// As attend, for a kernel that gathers scattered keys.
  void attend_sparse(int rank, Index rows, Index pairs);
  /// A matrix product [m, k] x [k, n] of this GPU.
  void gemm(int rank, Part part, Index m, Index n, Index k);
  /// Memory read and written, for all prompts.
  void stream(int rank, Part part, Index bytes, int launches = 1);
  /// O, feed-forward and what stands between, on all ranks; ends the layer.
  /// \param rows of each rank
  void finish(const std::vector<Index>& rows);

  /// An exchange with zeros for every rank, which the current step ends with.
  Exchange& exchange(CollectiveKind kind, Meeting meeting, Index calls = 1);
  /// An all-gather in which rank r gives own_bytes[r], in `calls` equal pieces.
  void all_gather(const std::vector<Index>& own_bytes, Index calls = 1);

  /// Steps of a ring, as one: in each of them every rank passes on the rows that it holds, as a
  /// message of keys and one of values, and attends beside it.
  void ring_steps(const Chunk& steps, const BlockLengths& blocks);

  /// Heads of one GPU. KV heads that cannot be shared out further are held twice.
  [[nodiscard]] Index own_q_heads() const;
  [[nodiscard]] Index own_kv_heads() const;
  /// Elements of a row of queries, or of attention's result, on one GPU.
  [[nodiscard]] Index out_width() const { return own_q_heads() * job_.model.head_dim; }
  /// Bytes of rows of `width` elements, of all prompts of the batch.
  [[nodiscard]] Index bytes(Index rows, Index width) const {
    return rows * width * job_.element_bytes * job_.batch;
  }
  /// Bytes of keys and values of some rows on one GPU, of all prompts.
  [[nodiscard]] Index key_value_bytes(Index rows) const {
    return bytes(rows, 2 * own_kv_heads() * job_.model.head_dim);
  }
  [[nodiscard]] int num_ranks() const { return plan_.num_ranks; }

 private:
  Operation& add(int rank, Part part, OperationKind kind);
  void reduce_over_group(const std::vector<Index>& rows, Index width);

  const Job& job_;
  Index tensor_parallel_;
  LayerPlan& plan_;
  std::vector<Operation>* target_ = nullptr;
};

/// `count` shared among `parts`: the largest share.
[[nodiscard]] constexpr Index largest_share(Index count, Index parts) {
  return (count + parts - 1) / parts;
}

/// Pairs of `rows` causal rows.
[[nodiscard]] constexpr Index causal_pairs(Index rows) {
  return rows * (rows + 1) / 2;
}

}  // namespace apb::sim
